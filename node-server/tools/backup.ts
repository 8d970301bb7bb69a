/** `backup …`: backups of a running cluster in a bucket or a directory. */
import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { InvalidArgumentError, Option, type Command } from 'commander'
import { assert } from '../../lib/assert.ts'
import { parseId } from '../../lib/ids.ts'
import { MAX_BUMP_REVISIONS } from '../mvcc/new-cluster.ts'
import { listBackups, readBackup, type StoredBackup } from '../backup/backup.ts'
import { planCourse, type Target } from '../backup/changes/course.ts'
import { BackupFailed, type Destination } from '../backup/destination.ts'
import { follow } from './backup-follow.ts'
import {
  attempted,
  type MemberOptions,
  placeOf,
  type PlaceOptions,
  sourceOf,
  withMembers,
  withPlace,
} from './backup-place.ts'
import { restoreBackup, type Chosen } from './backup-restore.ts'
import { lineOf, prune, take, type RetentionOptions, type TakeOptions } from './backup-take.ts'
import type { ExitCode, ToolIo } from './tool-io.ts'
import { counted } from './words.ts'

const NEWEST = 'newest'
const MAX_INTERVAL_SECONDS = 3600

interface ListOptions extends PlaceOptions {
  readonly cluster?: string
  readonly json: boolean
}

interface FetchOptions extends PlaceOptions {
  readonly output: string
  readonly cluster?: string
}

interface FollowOptions extends PlaceOptions, MemberOptions {
  readonly interval: number
  readonly statusPort?: number
}

interface TargetOptions {
  readonly revision?: number
  readonly time?: Target
}

interface RestoreOptions extends PlaceOptions, TargetOptions {
  readonly cluster?: string
  readonly dataDir: string
  readonly name: string
  readonly initialAdvertisePeerUrls: string
  readonly clusterId: bigint
  readonly bumpRevision: number
}

interface PruneOptions extends PlaceOptions, RetentionOptions {
  readonly cluster: string
}

export function addBackup(program: Command, io: ToolIo, ended: (code: ExitCode) => void): void {
  const backup = program
    .command('backup')
    .description('Backups of a running cluster, in a bucket of S3 (or of what speaks its protocol) or in a directory.')
  const run =
    <Options extends PlaceOptions>(act: (options: Options, place: Destination) => Promise<void>) =>
    async (options: Options): Promise<void> =>
      ended(await attempted(io, async () => act(options, await placeOf(options))))

  withRetention(withMembers(withPlace(backup.command('take'))))
    .description('Takes a backup, reads it back, and prints what it is; then removes older ones, if told to.')
    .option(
      '--rehearse <directory>',
      "restore it there, compare HashKV with the member's, and remove what was restored",
    )
    .addOption(
      new Option('--rehearse-bytes <count>', 'how much of that directory a restore may take').argParser(readBytes),
    )
    .option('--result-file <file>', 'write there what was taken, as JSON, for the operator')
    .action(run<TakeOptions>((options, place) => take(io, options, place)))
  withMembers(withPlace(backup.command('follow')))
    .description(
      'Keeps every change after a backup, until it is stopped, so that the cluster can be restored to any revision and\n' +
        'any time. It takes the first backup itself, and another one where changes could not be kept.',
    )
    .addOption(
      new Option('--interval <seconds>', 'how long changes may wait until they are kept')
        .argParser(readInterval)
        .default(10),
    )
    .addOption(
      new Option('--status-port <port>', 'tell there, at /status, what is kept, as JSON, for the operator').argParser(
        readPort,
      ),
    )
    .action(
      run<FollowOptions>((options, place) => {
        const { interval, statusPort } = options
        return follow(io, sourceOf(options), place, {
          intervalMs: interval * 1000,
          statusPort,
          signal: io.toldToEnd(),
        })
      }),
    )
  withPlace(backup.command('list'))
    .description('Lists the complete backups, oldest first.')
    .option('--cluster <id>', 'only of the cluster with this ID')
    .option('--json', 'as JSON, a line each', false)
    .action(run<ListOptions>((options, place) => list(io, options, place)))
  withPlace(backup.command('fetch'))
    .argument('<name>', `as list prints it, or ${NEWEST}`)
    .description('Writes a backup into a file that `snapshot restore` takes, and checks it.')
    .requiredOption('--output <file>', 'file to write')
    .option('--cluster <id>', `of which cluster the ${NEWEST} is wanted`)
    .action(async (name: string, options: FetchOptions) =>
      ended(await attempted(io, async () => fetchBackup(io, name, options, await placeOf(options)))),
    )
  withTarget(withPlace(backup.command('restore')))
    .argument('<name>', `as list prints it, or ${NEWEST}`)
    .description(
      'Makes the data directory of the first member of a new cluster; others join it. A directory that has it already is left\n' +
        'as it is. With --revision or --time, the changes that `backup follow` has kept are added. For members with static flags: fetch,\n' +
        'then `snapshot restore`.',
    )
    .requiredOption('--data-dir <dir>', 'directory to make')
    .requiredOption('--name <name>', 'name of the member')
    .requiredOption('--initial-advertise-peer-urls <list>', 'its peer URLs')
    .addOption(
      new Option('--cluster-id <id>', 'of the new cluster, in hex').argParser(readClusterId).makeOptionMandatory(),
    )
    .option('--cluster <id>', `of which cluster the ${NEWEST} is wanted`)
    .addOption(
      new Option('--bump-revision <count>', 'revisions to skip; those before count as compacted')
        .argParser(readBump)
        .default(0),
    )
    .action(async (name: string, options: RestoreOptions) =>
      ended(await attempted(io, async () => restore(io, name, options, await placeOf(options)))),
    )
  withRetention(withPlace(backup.command('prune')))
    .description(
      'Removes the backups of a cluster beyond those to be kept, and the remains of failed ones. Never the newest.',
    )
    .requiredOption('--cluster <id>', 'ID of the cluster')
    .action(run<PruneOptions>((options, place) => prune(io, options.cluster, options, place)))
}

function withTarget(command: Command): Command {
  return command
    .addOption(
      new Option('--revision <number>', `to that revision; the backup that it begins with is at or before it`)
        .argParser(readRevision)
        .conflicts('time'),
    )
    .addOption(
      new Option('--time <time>', 'to that time (2026-11-30T12:00:00Z), or latest: the newest that is kept').argParser(
        readTime,
      ),
    )
}

function withRetention(command: Command): Command {
  return command
    .addOption(new Option('--keep <count>', 'keep so many of the newest').argParser(readCount))
    .addOption(new Option('--max-age <days>', 'remove those older than so many days').argParser(readCount))
}

async function list(io: ToolIo, { cluster, json }: ListOptions, place: Destination): Promise<void> {
  const backups = await listBackups(place, cluster)
  for (const backup of backups)
    await io.out.write(`${json ? JSON.stringify({ name: backup.name, ...backup.manifest }) : lineOf(backup)}\n`)
  if (backups.length === 0 && !json) await io.err.write(`there are no backups in ${place.url}\n`)
}

/** All that `name` may mean: backups of one cluster. */
async function candidates(
  name: string,
  place: Destination,
  cluster: string | undefined,
): Promise<readonly StoredBackup[]> {
  const backups = await listBackups(place, cluster)
  const clusters = new Set(backups.map(({ manifest }) => manifest.clusterId))
  if (name === NEWEST && clusters.size > 1)
    throw new BackupFailed(
      `there are backups of ${counted(clusters.size, 'cluster')} (${[...clusters].join(', ')}): say which with --cluster`,
    )
  const found = name === NEWEST ? backups : backups.filter((backup) => backup.name === name)
  if (found.length > 0) return found
  throw new BackupFailed(`there is no backup ${name} in ${place.url}: \`backup list\` shows all`)
}

async function chosen(name: string, place: Destination, cluster: string | undefined): Promise<StoredBackup> {
  const backup = (await candidates(name, place, cluster)).at(-1)
  assert(backup !== undefined, 'there is one, or it is refused')
  return backup
}

async function chosenFor(name: string, place: Destination, options: RestoreOptions): Promise<Chosen> {
  const { cluster, revision } = options
  const target = options.time ?? (revision === undefined ? undefined : { kind: 'revision' as const, revision })
  if (target === undefined) return { backup: await chosen(name, place, cluster), course: undefined }
  const course = await planCourse(place, await candidates(name, place, cluster), target)
  return { backup: course.base, course }
}

async function restore(io: ToolIo, name: string, options: RestoreOptions, place: Destination): Promise<void> {
  const { initialAdvertisePeerUrls: peerUrls } = options
  await io.out.write(await restoreBackup(() => chosenFor(name, place, options), place, { ...options, peerUrls }))
}

async function fetchBackup(
  io: ToolIo,
  name: string,
  { output, cluster }: FetchOptions,
  place: Destination,
): Promise<void> {
  const found = await chosen(name, place, cluster)
  try {
    await pipeline(readBackup(found, place), createWriteStream(output, { flags: 'wx', mode: 0o600, flush: true }))
  } catch (error) {
    const isThere = error instanceof Error && 'code' in error && error.code === 'EEXIST'
    if (isThere) throw new BackupFailed(`${output} is there already: name another file`)
    await rm(output, { force: true })
    throw error
  }
  await io.out.write(`${output}: ${lineOf(found)}\n`)
}

function readClusterId(text: string): bigint {
  const id = parseId(text)
  if (id !== undefined && id !== 0n) return id
  throw new InvalidArgumentError('It is not an ID: up to 16 hexadecimal digits, not all of them 0.')
}

function readBump(text: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (value <= MAX_BUMP_REVISIONS) return value
  throw new InvalidArgumentError(`It is not a whole number from 0 to ${MAX_BUMP_REVISIONS}.`)
}

function readRevision(text: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : 0
  if (value > 0 && Number.isSafeInteger(value)) return value
  throw new InvalidArgumentError('It is not a revision.')
}

function readTime(text: string): Target {
  if (text === 'latest') return { kind: 'latest' }
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text)
  const atMs = isTime ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(atMs)) return { kind: 'time', atMs }
  throw new InvalidArgumentError('It is no time as in 2026-11-30T12:00:00Z, and not latest.')
}

function readInterval(text: string): number {
  const value = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (value >= 1 && value <= MAX_INTERVAL_SECONDS) return value
  throw new InvalidArgumentError(`It is not a whole number from 1 to ${MAX_INTERVAL_SECONDS}.`)
}

function readPort(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : Infinity
  if (value <= 65_535) return value
  throw new InvalidArgumentError('It is not a port.')
}

function readBytes(text: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : 0
  if (value > 0 && Number.isSafeInteger(value)) return value
  throw new InvalidArgumentError('It is not a number of bytes.')
}

function readCount(text: string): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (value > 0) return value
  throw new InvalidArgumentError('It is not a whole number from 1 on.')
}
