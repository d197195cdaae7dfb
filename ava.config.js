export default {
  files: ['dist/test/**/*.test.js'],
  require: ['./dist/test/exit-when-drained.js'],
  workerThreads: false,
  timeout: '15m',
  concurrency: 2,
};
