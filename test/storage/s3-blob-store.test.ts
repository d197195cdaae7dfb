import test from 'ava';
import { systemClock, systemRandom } from '../../process/system-clock.js';
import { openBlobStore } from '../../storage/open-blob-store.js';
import { VersitygwService, versitygwAvailability } from '../services/versitygw.js';
import { testBlobStoreContract } from './blob-store-contract.js';

const availability = versitygwAvailability();
if (availability.available) testOnVersitygw();
else test.skip(`blob store on S3: ${availability.reason}`, (t) => t.pass());

function testOnVersitygw(): void {
  let service: VersitygwService;
  let stores = 0;
  test.before(async () => {
    service = await VersitygwService.start();
  });
  test.after.always(() => service.stop());
  testBlobStoreContract(test, () => {
    stores += 1;
    return openBlobStore(service.location(`cluster-${stores}`), {
      clock: systemClock,
      random: systemRandom,
    });
  });
}
