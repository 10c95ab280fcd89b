import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Bytes, hexToBytes, SeededRandom } from "@etcd-ts/base";
import type { HeaderField } from "../src/header-field.ts";
import { HpackDecoder, type HpackOutcome } from "../src/hpack-decoder.ts";
import { encodeStateless, HpackEncoder, writeInteger } from "../src/hpack-encoder.ts";
import { huffmanDecode, huffmanEncode, huffmanLength } from "../src/huffman.ts";

const hex = (text: string): Bytes => hexToBytes(text.replaceAll(/\s/g, ""));

function decode(decoder: HpackDecoder, bytes: Bytes, max = 1 << 20): [HpackOutcome, string[]] {
  const fields: HeaderField[] = [];
  const outcome = decoder.decode(bytes, 0, bytes.length, max, fields);
  return [outcome, fields.map(({ name, value }) => `${name}: ${value}`)];
}

const decodeHex = (decoder: HpackDecoder, text: string): string[] => {
  const [outcome, fields] = decode(decoder, hex(text));
  assert.equal(outcome, "ok");
  return fields;
};

const table = (decoder: HpackDecoder): string[] =>
  decoder.tableFields().map(({ name, value }) => `${name}: ${value}`);

test("integers are written as in RFC 7541 C.1", () => {
  const bytes = new Uint8Array(8);
  assert.equal(writeInteger(bytes, 0, 0, 0x1f, 10), 1);
  assert.deepEqual([...bytes.subarray(0, 1)], [10]);
  assert.equal(writeInteger(bytes, 0, 0, 0x1f, 1337), 3);
  assert.deepEqual([...bytes.subarray(0, 3)], [31, 154, 10]);
  assert.equal(writeInteger(bytes, 0, 0, 0xff, 42), 1);
  assert.deepEqual([...bytes.subarray(0, 1)], [42]);
});

test("the single fields of RFC 7541 C.2 are read", () => {
  const one = new HpackDecoder();
  assert.deepEqual(
    decodeHex(one, "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572"),
    ["custom-key: custom-header"],
  );
  assert.equal(one.tableBytes, 55);
  const two = new HpackDecoder();
  assert.deepEqual(decodeHex(two, "040c 2f73 616d 706c 652f 7061 7468"), [":path: /sample/path"]);
  assert.deepEqual(decodeHex(two, "1008 7061 7373 776f 7264 0673 6563 7265 74"), [
    "password: secret",
  ]);
  assert.deepEqual(decodeHex(two, "82"), [":method: GET"]);
  assert.equal(two.tableBytes, 0);
});

const requests = [
  [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
  [
    ":method: GET",
    ":scheme: http",
    ":path: /",
    ":authority: www.example.com",
    "cache-control: no-cache",
  ],
  [
    ":method: GET",
    ":scheme: https",
    ":path: /index.html",
    ":authority: www.example.com",
    "custom-key: custom-value",
  ],
];
const requestTables = [
  [":authority: www.example.com"],
  ["cache-control: no-cache", ":authority: www.example.com"],
  ["custom-key: custom-value", "cache-control: no-cache", ":authority: www.example.com"],
];
const requestTableBytes = [57, 110, 164];

for (const [name, blocks] of [
  [
    "C.3 (without Huffman code)",
    [
      "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "8286 84be 5808 6e6f 2d63 6163 6865",
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ],
  ],
  [
    "C.4 (with Huffman code)",
    [
      "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
      "8286 84be 5886 a8eb 1064 9cbf",
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ],
  ],
] as const) {
  test(`the requests of RFC 7541 ${name} are read`, () => {
    const decoder = new HpackDecoder();
    for (const [i, block] of blocks.entries()) {
      assert.deepEqual(decodeHex(decoder, block), requests[i]);
      assert.deepEqual(table(decoder), requestTables[i]);
      assert.equal(decoder.tableBytes, requestTableBytes[i]);
    }
  });
}

test("the encoder writes the requests of RFC 7541 C.4 to the byte", () => {
  const encoder = new HpackEncoder();
  const expected = [
    "828684418cf1e3c2e5f23a6ba0ab90f4ff",
    "828684be5886a8eb10649cbf",
    "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
  ];
  for (const [i, lines] of requests.entries()) {
    const bytes = new Uint8Array(256);
    let length = 0;
    for (const line of lines) {
      const colon = line.indexOf(": ");
      length = encoder.writeField(bytes, length, line.slice(0, colon), line.slice(colon + 2));
    }
    assert.equal(Buffer.from(bytes.subarray(0, length)).toString("hex"), expected[i]);
  }
});

const date1 = "date: Mon, 21 Oct 2013 20:13:21 GMT";
const date2 = "date: Mon, 21 Oct 2013 20:13:22 GMT";
const location = "location: https://www.example.com";
const cookie = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
const answers = [
  [":status: 302", "cache-control: private", date1, location],
  [":status: 307", "cache-control: private", date1, location],
  [":status: 200", "cache-control: private", date2, location, "content-encoding: gzip", cookie],
];
const answerTables = [
  [location, date1, "cache-control: private", ":status: 302"],
  [":status: 307", location, date1, "cache-control: private"],
  [cookie, "content-encoding: gzip", date2],
];

for (const [name, blocks] of [
  [
    "C.5 (without Huffman code)",
    [
      `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a
       3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
      "4803 3330 37c1 c0bf",
      `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04
       677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49
       553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
    ],
  ],
  [
    "C.6 (with Huffman code)",
    [
      `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e
       919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
      "4883 640e ffc1 c0bf",
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7
       821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed
       4ee5 b106 3d50 07`,
    ],
  ],
] as const) {
  test(`the answers of RFC 7541 ${name} are read, with a table of 256 bytes`, () => {
    const decoder = new HpackDecoder(256);
    for (const [i, block] of blocks.entries()) {
      assert.deepEqual(decodeHex(decoder, block), answers[i]);
      assert.deepEqual(table(decoder), answerTables[i]);
      assert.equal(decoder.tableBytes, [222, 222, 215][i]);
    }
  });
}

test("every byte survives Huffman code, alone and beside every other", () => {
  const bytes = new Uint8Array(64);
  for (let a = 0; a < 256; a++) {
    for (let b = 0; b < 256; b += 5) {
      const text = String.fromCharCode(a, b, a);
      const end = huffmanEncode(bytes, 0, text);
      assert.equal(end, huffmanLength(text));
      assert.equal(huffmanDecode(bytes, 0, end), text);
    }
  }
});

test("wrong padding and the end-of-string symbol are refused", () => {
  assert.equal(huffmanDecode(hex("ffffffff"), 0, 4), undefined, "end of string");
  assert.equal(huffmanDecode(hex("1fff"), 0, 2), undefined, "padding of a whole byte");
  assert.equal(huffmanDecode(hex("18"), 0, 1), undefined, "padding with zeros");
  assert.equal(huffmanDecode(hex("1f"), 0, 1), "a");
  assert.equal(huffmanDecode(hex(""), 0, 0), "");
});

test("malformed blocks are refused", () => {
  for (const [what, block] of [
    ["index 0", "80"],
    ["index beyond the tables", "be"],
    ["name index beyond the tables", "7f00 01 61"],
    ["integer without end", "ffffffffffffffff"],
    ["integer that is too large", "ff8080808001"],
    ["literal without name", "40"],
    ["literal without value", "4001 61"],
    ["string longer than the block", "4005 61"],
    ["size update beyond the limit", "3fe21f"],
    ["size update after a field", "8220"],
    ["bad Huffman code in a value", "0481ff 81 00"],
  ] as const) {
    assert.equal(decode(new HpackDecoder(), hex(block))[0], "invalid", what);
  }
});

test("size updates shrink and empty the table", () => {
  const decoder = new HpackDecoder();
  decodeHex(decoder, "400161 0162 400163 0164");
  assert.deepEqual(table(decoder), ["c: d", "a: b"]);
  assert.deepEqual(decodeHex(decoder, `3f03 be`), ["c: d"]);
  assert.deepEqual(table(decoder), ["c: d"]);
  assert.deepEqual(decodeHex(decoder, "20"), []);
  assert.deepEqual(table(decoder), []);
  assert.deepEqual(decodeHex(decoder, "400161 0162"), ["a: b"]);
  assert.deepEqual(table(decoder), []);
});

test("a list beyond its limit is read to the end but not kept", () => {
  const decoder = new HpackDecoder();
  const big = "x".repeat(1000);
  const encoder = new HpackEncoder();
  const bytes = new Uint8Array(2000);
  const end = encoder.writeField(bytes, 0, "bomb", big);
  assert.equal(decode(decoder, bytes.subarray(0, end))[0], "ok");
  const bomb = new Uint8Array(10_000).fill(0x80 | 62);
  const [outcome, fields] = decode(decoder, bomb, 5000);
  assert.equal(outcome, "too-large");
  assert.equal(fields.length, 4);
  assert.deepEqual(decode(decoder, hex("be")), ["ok", [`bomb: ${big}`]]);
});

test("encoder and decoder agree on random lists, resized tables and evictions", () => {
  const random = new SeededRandom(7541);
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  const names = ["a", "path-like", ":authority", "content-type", "x-long-name-of-metadata", "te"];
  const bytes = new Uint8Array(100_000);
  for (let round = 0; round < 3000; round++) {
    if (random.chance(1, 20)) encoder.setTableBytesMax(random.below(5000));
    const lines: string[] = [];
    let length = encoder.writeUpdates(bytes, 0);
    for (let count = random.below(8); count > 0; count--) {
      const name = random.pick(names);
      const value = random.chance(1, 10)
        ? String.fromCharCode(...random.bytes(random.below(600)))
        : `value-${random.below(30)}`;
      lines.push(`${name}: ${value}`);
      length = encoder.writeField(bytes, length, name, value);
    }
    assert.deepEqual(decode(decoder, bytes.slice(0, length)), ["ok", lines]);
  }
});

test("stateless blocks leave the table alone", () => {
  const decoder = new HpackDecoder();
  const block = encodeStateless([
    [":status", "200"],
    ["grpc-status", "0"],
    ["x", ""],
  ]);
  assert.deepEqual(decode(decoder, block), ["ok", [":status: 200", "grpc-status: 0", "x: "]]);
  assert.equal(decoder.tableBytes, 0);
});
