/**
 * The tools beside a member: snapshots as files, data directories looked into, backups of a running cluster. They come as sub-commands
 * of the member's program, so that wherever a member can run its tools are there, in the same version.
 *
 * Neighbours: `main.ts` hands over the process; everything is read and written through the parts that a member uses.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { MAX_BUMP_REVISIONS } from '../mvcc/new-cluster.ts'
import { realDisk } from '../storage/disk.ts'
import { addBackup } from './backup.ts'
import { runCheck } from './check.ts'
import { runDump } from './dump.ts'
import { runSnapshotRestore } from './snapshot-restore.ts'
import { FORMS, runSnapshotStatus, type Form } from './snapshot-status.ts'
import { toolIo, type ExitCode, type ToolIo, type ToolProcess } from './tool-io.ts'

/** `args`: the name of the tool and what follows. */
export async function runTool(args: readonly string[], process: ToolProcess): Promise<ExitCode> {
  const io = toolIo(process)
  let exitCode: ExitCode = 0
  const command = toolCommand(io, (code) => (exitCode = code))
  try {
    await command.parseAsync(args, { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2 // it has told the user
    await io.err.write(`Error: ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
}

type Ended = (code: ExitCode) => void

function toolCommand(io: ToolIo, ended: Ended): Command {
  const program = new Command('raftkv')
    .exitOverride()
    .configureOutput({ writeOut: (text) => void io.out.write(text), writeErr: (text) => void io.err.write(text) })
  addSnapshot(program, io, ended)
  addCheck(program, io, ended)
  addDump(program, io, ended)
  addBackup(program, io, ended)
  return program
}

interface StatusOptions {
  readonly writeOut: Form
  readonly skipHashCheck: boolean
}

interface RestoreOptions {
  readonly name: string
  readonly dataDir?: string
  readonly walDir?: string
  readonly initialCluster: string
  readonly initialClusterToken: string
  readonly initialAdvertisePeerUrls: string
  readonly skipHashCheck: boolean
  readonly bumpRevision: number
  readonly markCompacted: boolean
}

const SKIP_HASH_CHECK =
  'take one without a digest or with another one (a copy of member/snap/db or the directory of a store has none)'

function addSnapshot(program: Command, io: ToolIo, ended: Ended): void {
  const snapshot = program.command('snapshot').description('Snapshots that `etcdctl snapshot save` has written.')
  snapshot
    .command('status <file>')
    .description('Checks the digest and every record, and prints hash, revision, keys, size and format version.')
    .addOption(new Option('-w, --write-out <form>', 'form of the output').choices(FORMS).default('simple'))
    .option('--skip-hash-check', SKIP_HASH_CHECK, false)
    .action(async (file: string, options: StatusOptions) => ended(await runSnapshotStatus(io, file, options)))
  const restore = snapshot
    .command('restore <file>')
    .description(
      'Makes the data directory of one member of a new cluster from a snapshot. Run it for each member, with the same\n' +
        'file, --initial-cluster and token; then start the members with the same flags.',
    )
    .option('--data-dir <dir>', 'directory to make; must be empty (default: "<name>.etcd")')
    .option('--name <name>', 'name of this member', 'default')
    .option('--initial-cluster <list>', 'all members, as name=URL,name=URL', 'default=http://localhost:2380')
    .option('--initial-cluster-token <token>', 'part of the new IDs, with the URLs', 'etcd-cluster')
    .option('--initial-advertise-peer-urls <list>', "this member's peer URLs", 'http://localhost:2380')
    .option('--wal-dir <dir>', 'refused: the log is in the data directory')
    .option('--skip-hash-check', SKIP_HASH_CHECK, false)
    .option('--bump-revision <count>', 'revisions to skip, more than were written since the snapshot', readBump, 0)
    .option('--mark-compacted', 'required with --bump-revision: watches of old revisions end as compacted', false)
  restore.action(async (file: string, options: RestoreOptions) => {
    const { walDir, dataDir, bumpRevision, markCompacted, ...flags } = options
    if (walDir !== undefined) restore.error('Error: --wal-dir: the log is always in the data directory')
    if (bumpRevision > 0 !== markCompacted) restore.error('Error: --mark-compacted required if --bump-revision > 0')
    ended(await runSnapshotRestore(io, file, { ...flags, bumpRevision, dataDir: dataDir ?? `${flags.name}.etcd` }))
  })
}

function addCheck(program: Command, io: ToolIo, ended: Ended): void {
  program
    .command('check <dir>')
    .description(
      'Reads the data directory of a stopped member, changes nothing, and says what is damaged and what to do.\n' +
        'Exit code 0: all is well; 1: damage; 2: it could not be checked.',
    )
    .action(async (directory: string) => ended(await runCheck(io, realDisk, directory)))
}

interface DumpOptions {
  readonly from?: number
  readonly to?: number
  readonly values: boolean
}

function addDump(program: Command, io: ToolIo, ended: Ended): void {
  program
    .command('dump <dir>')
    .description('Prints the log of a data directory in words: segment, offset, and what each record says.')
    .option('--from <index>', 'only entries from this index on', readIndex)
    .option('--to <index>', 'only entries up to this index', readIndex)
    .option('--values', 'print values, not their sizes', false)
    .action(async (directory: string, { from, to, values }: DumpOptions) =>
      ended(await runDump(io, realDisk, directory, { from, to, values })),
    )
}

function readIndex(text: string): number {
  return readNumber(text, Number.MAX_SAFE_INTEGER)
}

function readBump(text: string): number {
  return readNumber(text, MAX_BUMP_REVISIONS)
}

function readNumber(text: string, max: number): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (value <= max) return value
  throw new InvalidArgumentError(`It is not a whole number from 0 to ${max}.`)
}
