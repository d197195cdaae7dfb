/** A scoring module that fails while it is loaded. */
throw new Error('weights.bin is missing');
