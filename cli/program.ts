/**
 * The commands of `millrace`, their flags and their help. Each command's code is loaded only when it
 * runs, so that a listing answers at once. It turns every outcome into one of the exit codes.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { CLAIM_MODES } from '../api/rest/job-dto.js';
import { MillraceError } from '../core/errors.js';
import { ENGINE_VERSION } from '../core/version.js';
import { wholeNumber } from '../process/whole-number.js';
import type { CliContext } from './cli-context.js';
import type { ClusterCommandOptions } from './commands/cluster.js';
import type { DemoOptions } from './commands/demo.js';
import type { ListingOptions } from './commands/listings.js';
import type { PlanOptions } from './commands/plan.js';
import type { RescaleOptions } from './commands/rescale.js';
import type { SubmitOptions } from './commands/submit.js';
import { reportError } from './error-report.js';
import { EXIT, exitCodeOf, type ExitCode } from './exit-code.js';

const VERBOSE_FLAG = '--verbose';

const EXIT_CODE_HELP = `
Exit codes: 0 done, 1 the job or the request failed, 2 used wrongly, 3 the cluster can't be reached,
130 interrupted.
The cluster is the one of --cluster, else of MILLRACE_CLUSTER, else the one on the folder .millrace.`;

function addParam(text: string, given: Readonly<Record<string, string>>): Record<string, string> {
  const equals = text.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError('give NAME=VALUE');
  return { ...given, [text.slice(0, equals)]: text.slice(equals + 1) };
}

function withCluster(command: Command): Command {
  return command
    .addOption(new Option('--cluster <host:port>', "address of the cluster's REST API"))
    .addOption(new Option('--data <dir>', 'data folder of a cluster on this machine'))
    .addOption(new Option('--json', 'print one JSON document'));
}

function withJob(command: Command): Command {
  return withCluster(command.argument('<job>', 'id of a job, or its name while only one bears it'));
}

function withParams(command: Command): Command {
  return command
    .argument('<file>', 'TypeScript file that exports the job as default')
    .addOption(
      new Option('--param <name=value>', 'a parameter of the job; may be repeated')
        .argParser(addParam)
        .default({}, 'none'),
    )
    .option('--parallelism <n>', 'subtasks of each operator', wholeNumber(1, 32_768));
}

interface SavepointOptions extends ListingOptions {
  readonly dispose?: string;
}

/** Takes how a command ended; undefined where the process goes on and sets its own exit code. */
type Ends = (code: ExitCode | undefined) => void;

/**
 * Runs a command line without the program's name.
 * @returns undefined where the process has become a coordinator or a worker
 */
export async function runProgram(
  args: readonly string[],
  context: CliContext,
): Promise<ExitCode | undefined> {
  let exitCode: ExitCode | undefined = EXIT.done;
  const ends: Ends = (code) => {
    exitCode = code;
  };
  const verbose = args.includes(VERBOSE_FLAG);
  try {
    const program = createProgram(context, ends);
    await program.parseAsync(
      args.filter((arg) => arg !== VERBOSE_FLAG),
      { from: 'user' },
    );
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    context.note(reportError(error, { verbose }));
    return exitCodeOf(error);
  }
}

function createProgram(context: CliContext, ends: Ends): Command {
  const program = new Command('millrace')
    .description('A distributed stream processor: bundles jobs, runs clusters and talks to them.')
    .version(ENGINE_VERSION)
    // Taken out of the command line before it is parsed, so that it may stand anywhere.
    .option(VERBOSE_FLAG, "show the engine's own stack traces; for any command")
    .enablePositionalOptions()
    .exitOverride()
    .showHelpAfterError("(see 'millrace --help')")
    .addHelpText('after', EXIT_CODE_HELP)
    .configureOutput({
      writeOut: (text) => context.print(text),
      writeErr: (text) => context.note(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'error: USAGE: ')),
    });
  addClusterCommands(program, context, ends);
  addJobCommands(program, context, ends);
  addListings(program, context);
  for (const command of program.commands) {
    command.showHelpAfterError(`(see 'millrace ${command.name()} --help')`);
  }
  return program;
}

function addClusterCommands(program: Command, context: CliContext, ends: Ends): void {
  program
    .command('cluster')
    .description('run a coordinator and workers on this machine until Ctrl-C')
    .option('--workers <n>', 'worker processes', wholeNumber(1, 64), 2)
    .option('--slots <n>', 'slots of each worker', wholeNumber(1, 256), 2)
    .option('--data <dir>', 'folder for state, checkpoints and logs (default: .millrace)')
    .option('--meta <url>', 'etcd://HOST:PORT,... in place of a file in the data folder')
    .option(
      '--checkpoint-storage <location>',
      's3://BUCKET/PREFIX?endpoint=URL or a folder, in place of one in the data folder',
    )
    .option(
      '--rest-port <port>',
      'port of the REST API; 0: any free one',
      wholeNumber(0, 65_535),
      0,
    )
    .option('--json', 'print the addresses as one JSON document')
    .action(async (options: ClusterCommandOptions) => {
      const { runCluster } = await import('./commands/cluster.js');
      ends(await runCluster(context, options));
    });
  for (const role of ['coordinator', 'worker'] as const) {
    program
      .command(role)
      .description(
        role === 'coordinator'
          ? 'run a coordinator in this process: [--data DIR] [--meta URL] [--rest-port N] [--rpc-port N]'
          : 'run a worker in this process: --coordinator HOST:PORT [--slots N] [--data DIR]',
      )
      .argument('[flags...]')
      .allowUnknownOption()
      .passThroughOptions()
      .helpOption(false)
      .action(async (flags: readonly string[]) => {
        const { becomeEngineProcess } = await import('./commands/engine-process.js');
        ends(undefined);
        await becomeEngineProcess(role, flags);
      });
  }
  program
    .command('demo')
    .description('run the fraud detection job on a cluster of three processes and check its output')
    .option('--transactions <n>', 'size of the input', wholeNumber(1000, 100_000_000))
    .option('--kill-worker', 'kill a worker with SIGKILL in the middle')
    .option(
      '--kafka [host:port]',
      'from Kafka to Kafka: on that broker, or on one that is started for it (needs Java)',
    )
    .option('--json', 'print only the summary, as one JSON document')
    .option('--data <dir>', 'folder for input, output and state (default: .millrace)')
    .action(async (options: DemoOptions) => {
      const { runDemo } = await import('./commands/demo.js');
      ends(await runDemo(context, options));
    });
}

function addJobCommands(program: Command, context: CliContext, ends: Ends): void {
  withCluster(withParams(program.command('submit')))
    .description('bundle a job, run it on the cluster and follow it to its end')
    .option('--from-savepoint <id>', 'restore state from a savepoint or a retained checkpoint')
    .addOption(
      new Option(
        '--claim-mode <mode>',
        'whose that is from now on: "claim": the job\'s, which deletes it when it can',
      ).choices(CLAIM_MODES),
    )
    .option('--allow-non-restored-state', 'drop state of operators that the job no longer has')
    .option('--exact-parallelism', 'run at the parallelism asked for or not at all')
    .option('--detached', 'return once the job is accepted')
    .option(
      '--no-check',
      "don't ask brokers for topics first, as where they can't be reached from here",
    )
    .addHelpText('after', '\nCtrl-C stops the following; the job goes on until `millrace cancel`.')
    .action(async (file: string, options: SubmitOptions) => {
      const { submitJob } = await import('./commands/submit.js');
      ends(await submitJob(context, file, options));
    });
  withParams(program.command('plan'))
    .description('show the graph of a job: operators, chains, exchanges, types, state names')
    .option('--json', 'print one JSON document')
    .action(async (file: string, options: PlanOptions) => {
      const { planJob } = await import('./commands/plan.js');
      await planJob(context, file, options);
    });
  withCluster(program.command('savepoint'))
    .argument('[job]', 'id of a job, or its name while only one bears it')
    .description('take a savepoint and wait until it is complete, or delete one')
    .option('--dispose <id>', 'delete this savepoint; refused while a job needs it')
    .action(async (job: string | undefined, options: SavepointOptions) => {
      const { disposeSavepoint, takeSavepoint } = await import('./commands/job-requests.js');
      const { dispose } = options;
      if (job !== undefined && dispose === undefined) {
        return ends(await takeSavepoint(context, job, options));
      }
      if (job === undefined && dispose !== undefined) {
        return ends(await disposeSavepoint(context, dispose, options));
      }
      throw new MillraceError(
        'USAGE',
        'savepoint takes either a job, or --dispose with the id of a savepoint',
      );
    });
  withJob(program.command('stop'))
    .description('end a job with a savepoint, after all of its output is committed')
    .option('--savepoint', 'required: says that state is kept')
    .action(async (job: string, options: ListingOptions & { readonly savepoint?: boolean }) => {
      if (options.savepoint !== true) {
        throw new MillraceError(
          'USAGE',
          "stop takes a savepoint: add --savepoint, or end the job without one by 'millrace cancel'",
        );
      }
      const { stopJob } = await import('./commands/job-requests.js');
      ends(await stopJob(context, job, options));
    });
  withJob(program.command('rescale'))
    .description('run a job at another parallelism, from a checkpoint taken now')
    .requiredOption('--parallelism <n>', 'subtasks of each operator', wholeNumber(1, 32_768))
    .action(async (job: string, options: RescaleOptions) => {
      const { rescaleJob } = await import('./commands/rescale.js');
      ends(await rescaleJob(context, job, options));
    });
  withJob(program.command('cancel'))
    .description('end a job at once')
    .action(async (job: string, options: ListingOptions) => {
      const { cancelJob } = await import('./commands/job-requests.js');
      ends(await cancelJob(context, job, options));
    });
}

function addListings(program: Command, context: CliContext): void {
  const kafka = program
    .command('kafka')
    .description('ask brokers about jobs that read Kafka: millrace kafka lag JOB');
  withJob(kafka.command('lag'))
    .description('list how far the Kafka sources of a job are behind, by its last checkpoint')
    .showHelpAfterError("(see 'millrace kafka lag --help')")
    .action(async (job: string, options: ListingOptions) => {
      const { listKafkaLag } = await import('./commands/kafka-lag.js');
      await listKafkaLag(context, job, options);
    });
  withCluster(program.command('jobs'))
    .description('list the jobs')
    .action(async (options: ListingOptions) => {
      const { listJobs } = await import('./commands/listings.js');
      await listJobs(context, options);
    });
  withJob(program.command('job'))
    .description('show one job: operators, load, failures')
    .action(async (job: string, options: ListingOptions) => {
      const { showJob } = await import('./commands/job.js');
      await showJob(context, job, options);
    });
  withCluster(program.command('workers'))
    .description('list the workers')
    .action(async (options: ListingOptions) => {
      const { listWorkers } = await import('./commands/listings.js');
      await listWorkers(context, options);
    });
  withJob(program.command('checkpoints'))
    .description('list the checkpoints of a job')
    .action(async (job: string, options: ListingOptions) => {
      const { listCheckpoints } = await import('./commands/checkpoints.js');
      await listCheckpoints(context, job, options);
    });
  withCluster(program.command('savepoints'))
    .description('list the savepoints')
    .action(async (options: ListingOptions) => {
      const { listSavepoints } = await import('./commands/listings.js');
      await listSavepoints(context, options);
    });
}
