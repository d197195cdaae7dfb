/** A process that writes keys 1, 2, 3, ... until it is killed: `node meta-writer.js FOLDER`. */
import { FileMetaStore } from '../../storage/file-meta-store.js';
import { systemClock } from '../../process/system-clock.js';

const store = await FileMetaStore.open(process.argv[2] ?? '', { clock: systemClock });
for (let key = 1; ; key += 1) {
  await store.put(String(key), 'v'.repeat(key % 100), { ifAbsent: true });
  if (key === 50) process.stdout.write('fifty\n');
}
