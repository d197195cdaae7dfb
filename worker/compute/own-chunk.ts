/** The chunk in a buffer that can be moved to another thread without taking anything else along. */
export function ownChunk(chunk: Uint8Array): Uint8Array {
  return chunk.byteLength === chunk.buffer.byteLength ? chunk : chunk.slice();
}
