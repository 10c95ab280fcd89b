import { crc, putCodec, putScan, rangeEncode } from "./codecs.ts";
import { applyPut, indexCount, indexLook, indexPut } from "./machine.ts";
import type { MicroBenchmark } from "./micro-benchmark.ts";
import { frames, hpackDecode, hpackEncode, huffmanDecode } from "./rpc.ts";
import { logAppend, logEncode } from "./storage.ts";
import { watchFanOut, watchMatch } from "./watch.ts";

export const microBenchmarks: readonly MicroBenchmark[] = [
  hpackDecode,
  hpackEncode,
  huffmanDecode,
  frames,
  putScan,
  putCodec,
  rangeEncode,
  crc,
  logEncode,
  logAppend,
  indexLook,
  indexPut,
  indexCount,
  applyPut,
  watchFanOut,
  watchMatch,
];
