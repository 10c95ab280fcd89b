// Reads pieces of a file through a small cache of large blocks: pages of a tree often stand close together, and
// reading each by itself costs a trip to the thread pool (60 us) for 4 KiB.

import { type Bytes, CorruptionError, type DiskFile } from "@etcd-ts/base";

const blockBytes = 128 << 10;
const blocksMax = 128;

export class BlockCache {
  readonly #file: DiskFile;
  readonly #fileBytes: number;
  /** By number; the least recently used first. */
  readonly #blocks: Map<number, Bytes> = new Map();

  constructor(file: DiskFile, fileBytes: number) {
    this.#file = file;
    this.#fileBytes = fileBytes;
  }

  /** Exactly `length` bytes, valid as long as the caller keeps them. */
  async read(position: number, length: number): Promise<Bytes> {
    if (position + length > this.#fileBytes) {
      throw new CorruptionError(this.#file.path, position, "unexpected end of the file");
    }
    const number = Math.floor(position / blockBytes);
    const start = number * blockBytes;
    if (position + length > start + blockBytes) return await this.#exactly(position, length);
    const block = await this.#block(number, start);
    return block.subarray(position - start, position - start + length);
  }

  async #block(number: number, start: number): Promise<Bytes> {
    let block = this.#blocks.get(number);
    if (block === undefined) {
      block = await this.#exactly(start, Math.min(blockBytes, this.#fileBytes - start));
      if (this.#blocks.size >= blocksMax) {
        for (const oldest of this.#blocks.keys()) {
          this.#blocks.delete(oldest);
          break;
        }
      }
    } else this.#blocks.delete(number);
    this.#blocks.set(number, block);
    return block;
  }

  async #exactly(position: number, length: number): Promise<Bytes> {
    const bytes = await this.#file.read(position, length);
    if (bytes.length < length) {
      throw new CorruptionError(this.#file.path, position, "unexpected end of the file");
    }
    return bytes;
  }
}
