export default {
  files: ['dist/test/**/*.test.js'],
  workerThreads: false,
  timeout: '15m',
  concurrency: 2,
};
