/** A process that is killed while it writes a blob: `node blob-writer.js FOLDER`. */
import { FileBlobStore } from '../../storage/file-blob-store.js';

const store = await FileBlobStore.open(process.argv[2] ?? '');
const never = new Promise<never>(() => undefined);
const endless = async function* (): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(100_000);
  process.stdout.write('half written\n');
  process.stdin.resume();
  yield await never;
};
await store.put('job/state', endless());
