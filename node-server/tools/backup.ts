/** `backup …`: backups of a running cluster in a bucket or a directory. */
import { createWriteStream } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { InvalidArgumentError, Option, type Command } from 'commander'
import { type BackupResult, encodeBackupResult, isOlder } from '../../lib/backup-result.ts'
import { parseId } from '../../lib/ids.ts'
import { MAX_BUMP_REVISIONS } from '../mvcc/new-cluster.ts'
import { listBackups, pruneBackups, readBackup, takeBackup, type StoredBackup } from '../backup/backup.ts'
import { BackupFailed, type Destination } from '../backup/destination.ts'
import { Directory } from '../backup/directory.ts'
import { withSnapshot } from '../backup/source.ts'
import { restoreBackup } from './backup-restore.ts'
import type { ExitCode, ToolIo } from './tool-io.ts'
import { counted, humanSize } from './words.ts'

const NEWEST = 'newest'

interface PlaceOptions {
  readonly to: string
  readonly s3Endpoint?: string
  readonly s3Region?: string
  readonly s3PathStyle: boolean
  readonly s3CaFile?: string
}

interface RetentionOptions {
  readonly keep?: number
  readonly maxAge?: number
}

interface TakeOptions extends PlaceOptions, RetentionOptions {
  readonly endpoints: string
  readonly cacert?: string
  readonly cert?: string
  readonly key?: string
  readonly resultFile?: string
}

interface ListOptions extends PlaceOptions {
  readonly cluster?: string
  readonly json: boolean
}

interface FetchOptions extends PlaceOptions {
  readonly output: string
  readonly cluster?: string
}

interface RestoreOptions extends PlaceOptions {
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

  withRetention(withPlace(backup.command('take')))
    .description('Takes a backup, reads it back, and prints what it is; then removes older ones, if told to.')
    .option(
      '--endpoints <list>',
      'client URLs of members; a follower is asked if there is one',
      'http://127.0.0.1:2379',
    )
    .option('--cacert <file>', 'CAs of the members (PEM)')
    .option('--cert <file>', 'certificate to show (PEM)')
    .option('--key <file>', 'its key (PEM)')
    .option('--result-file <file>', 'write there what was taken, as JSON, for the operator')
    .action(run<TakeOptions>((options, place) => take(io, options, place)))
  withPlace(backup.command('list'))
    .description('Lists the backups that are whole, oldest first.')
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
  withPlace(backup.command('restore'))
    .argument('<name>', `as list prints it, or ${NEWEST}`)
    .description(
      'Makes the data directory of the first member of a new cluster, for the operator. A directory that has it already is\n' +
        'left as it is. Elsewhere: fetch, then `snapshot restore`.',
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
      'Removes backups of a cluster that are not to be kept, and what failed ones have left. Never the newest.',
    )
    .requiredOption('--cluster <id>', 'ID of the cluster')
    .action(run<PruneOptions>((options, place) => prune(io, options.cluster, options, place)))
}

function withPlace(command: Command): Command {
  return command
    .requiredOption('--to <url>', 's3://BUCKET/PREFIX or file:///DIRECTORY')
    .option('--s3-endpoint <url>', "of what is not Amazon's")
    .option('--s3-region <name>', 'region of the bucket')
    .option('--s3-path-style', 'the bucket stands in the path, not in the name of the host', false)
    .option('--s3-ca-file <file>', "CAs of the endpoint's certificate (PEM)")
}

function withRetention(command: Command): Command {
  return command
    .addOption(new Option('--keep <count>', 'keep so many of the newest').argParser(readCount))
    .addOption(new Option('--max-age <days>', 'remove those older than so many days').argParser(readCount))
}

async function attempted(io: ToolIo, act: () => Promise<void>): Promise<ExitCode> {
  try {
    await act()
    return 0
  } catch (error) {
    if (!(error instanceof BackupFailed)) throw error
    await io.err.write(`Error: ${error.message}\n`)
    return 1
  }
}

async function placeOf({ to, s3Endpoint, s3Region, s3PathStyle, s3CaFile }: PlaceOptions): Promise<Destination> {
  const url = URL.canParse(to) ? new URL(to) : undefined
  if (url?.protocol === 'file:' && url.pathname.length > 1) return new Directory(decodeURIComponent(url.pathname))
  if (url?.protocol !== 's3:' || url.hostname === '')
    throw new BackupFailed(`--to ${to}: give s3://BUCKET/PREFIX or file:///DIRECTORY`)
  const { Bucket } = await import('../backup/s3.ts') // with the SDK, which others do without
  const prefix = url.pathname.replaceAll(/^\/+|\/+$/g, '')
  return new Bucket({
    bucket: url.hostname,
    prefix: prefix === '' ? '' : `${prefix}/`,
    endpoint: s3Endpoint,
    region: s3Region,
    isPathStyle: s3PathStyle,
    caFile: s3CaFile,
  })
}

async function take(io: ToolIo, options: TakeOptions, place: Destination): Promise<void> {
  const source = {
    endpoints: options.endpoints.split(','),
    caFile: options.cacert,
    certFile: options.cert,
    keyFile: options.key,
  }
  const taken = await withSnapshot(source, (snapshot) => takeBackup(snapshot, place, new Date()))
  await io.out.write(`${lineOf(taken)}\n`)
  const retained = await retain(io, taken, options, place)
  if (options.resultFile !== undefined)
    await writeFile(options.resultFile, encodeBackupResult(resultOf(taken, place, retained)))
}

type Retained = Pick<BackupResult, 'oldest' | 'retentionFailure'>

/** The backup is there and counts, whatever becomes of older ones. */
async function retain(
  io: ToolIo,
  { manifest }: StoredBackup,
  options: TakeOptions,
  place: Destination,
): Promise<Retained> {
  if (options.keep === undefined && options.maxAge === undefined) return {}
  try {
    await prune(io, manifest.clusterId, options, place)
    const left = (await listBackups(place, manifest.clusterId)).map(({ manifest }) => manifest)
    const { revision, takenAt } = left.reduce((oldest, one) => (isOlder(one, oldest) ? one : oldest), manifest)
    return { oldest: { revision, takenAt } }
  } catch (error) {
    if (!(error instanceof BackupFailed)) throw error
    await io.err.write(`Warning: the backup is whole, but older ones were not removed: ${error.message}\n`)
    return { retentionFailure: error.message }
  }
}

function resultOf({ name, manifest }: StoredBackup, { url: place }: Destination, retained: Retained): BackupResult {
  const { clusterId, memberId, revision, takenAt, version, databaseBytes, databaseSha256, storedBytes } = manifest
  const database = { databaseBytes, databaseSha256, storedBytes }
  return { isReadBack: true, place, name, clusterId, memberId, revision, takenAt, version, ...database, ...retained }
}

async function list(io: ToolIo, { cluster, json }: ListOptions, place: Destination): Promise<void> {
  const backups = await listBackups(place, cluster)
  for (const backup of backups)
    await io.out.write(`${json ? JSON.stringify({ name: backup.name, ...backup.manifest }) : lineOf(backup)}\n`)
  if (backups.length === 0 && !json) await io.err.write(`there are no backups in ${place.url}\n`)
}

async function chosen(name: string, place: Destination, cluster: string | undefined): Promise<StoredBackup> {
  const backups = await listBackups(place, cluster)
  const clusters = new Set(backups.map(({ manifest }) => manifest.clusterId))
  if (name === NEWEST && clusters.size > 1)
    throw new BackupFailed(
      `there are backups of ${counted(clusters.size, 'cluster')} (${[...clusters].join(', ')}): say which with --cluster`,
    )
  const found = name === NEWEST ? backups.at(-1) : backups.find((backup) => backup.name === name)
  if (found === undefined)
    throw new BackupFailed(`there is no backup ${name} in ${place.url}: \`backup list\` names those there are`)
  return found
}

async function restore(io: ToolIo, name: string, options: RestoreOptions, place: Destination): Promise<void> {
  const { cluster, initialAdvertisePeerUrls: peerUrls } = options
  await io.out.write(await restoreBackup(() => chosen(name, place, cluster), place, { ...options, peerUrls }))
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

async function prune(
  io: ToolIo,
  cluster: string,
  { keep, maxAge }: RetentionOptions,
  place: Destination,
): Promise<void> {
  const maxAgeMs = maxAge === undefined ? undefined : maxAge * 24 * 60 * 60 * 1000
  for (const name of await pruneBackups(place, cluster, { keep, maxAgeMs }, new Date()))
    await io.out.write(`removed ${name}\n`)
}

function lineOf({ name, manifest }: StoredBackup): string {
  const { revision, databaseBytes, storedBytes } = manifest
  return `${name}  revision ${revision}, ${humanSize(databaseBytes)}, ${humanSize(storedBytes)} stored`
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

function readCount(text: string): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (value > 0) return value
  throw new InvalidArgumentError('It is not a whole number from 1 on.')
}
