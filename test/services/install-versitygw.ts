/**
 * Where versitygw, the S3 server of the tests, is kept, and the command that builds it there with Go.
 * The test command runs it early, beside the compiler: it takes minutes, once for each version.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';

const VERSION = 'v1.8.0';
const PACKAGE = `github.com/versity/versitygw/cmd/versitygw@${VERSION}`;
const CACHE_FOLDER = join(
  process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
  'millrace',
  `versitygw-${VERSION}`,
);
/** The program, once it is there. */
export const VERSITYGW = join(CACHE_FOLDER, 'versitygw');
/** Below the step's own, which would leave the compiler behind. */
const BUILD_TIMEOUT_SECONDS = 420;

/** Builds it unless it is there; minutes the first time. Two at once do not disturb each other. */
export const INSTALL_VERSITYGW = [
  'sh',
  '-c',
  `test -x "$1" && exit 0
   command -v go > /dev/null || { echo 'there is no go on the PATH'; exit 1; }
   export GOBIN="$1.build-$$"
   timeout ${BUILD_TIMEOUT_SECONDS} go install -trimpath -ldflags='-s -w' ${PACKAGE} &&
     mv "$GOBIN/versitygw" "$1"
   status=$?
   rm -rf "$GOBIN"
   exit $status`,
  'sh',
  VERSITYGW,
] as const;
