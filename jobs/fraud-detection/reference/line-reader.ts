/** Reads a file line by line with the position of each line, in blocks, so that memory stays small. */
import { open } from 'node:fs/promises';

const BLOCK_BYTES = 1 << 20;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * Calls `onLine` for each line that is not empty, without its line end. The last line may lack one.
 * @param onLine gets the line, and the position of its first byte in the file
 */
export async function readLines(
  path: string,
  onLine: (line: string, position: number) => void,
): Promise<void> {
  const file = await open(path, 'r');
  try {
    let block = Buffer.allocUnsafe(BLOCK_BYTES);
    /** Position in the file of the block's first byte, and how many bytes of a line it begins with. */
    let blockStart = 0;
    let held = 0;
    for (;;) {
      if (held === block.length) block = Buffer.concat([block], block.length * 2);
      const { bytesRead } = await file.read(block, held, block.length - held);
      if (bytesRead === 0) break;
      const filled = held + bytesRead;
      let lineStart = 0;
      for (
        let lineEnd = block.indexOf(LINE_FEED, held);
        lineEnd >= 0 && lineEnd < filled;
        lineEnd = block.indexOf(LINE_FEED, lineStart)
      ) {
        emit(block, lineStart, lineEnd, blockStart, onLine);
        lineStart = lineEnd + 1;
      }
      block.copyWithin(0, lineStart, filled);
      held = filled - lineStart;
      blockStart += lineStart;
    }
    emit(block, 0, held, blockStart, onLine);
  } finally {
    await file.close();
  }
}

function emit(
  block: Buffer,
  start: number,
  end: number,
  blockStart: number,
  onLine: (line: string, position: number) => void,
): void {
  const last = end > start && block[end - 1] === CARRIAGE_RETURN ? end - 1 : end;
  if (last > start) onLine(block.toString('utf8', start, last), blockStart + start);
}
