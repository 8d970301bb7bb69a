/**
 * `snapshot restore FILE`: the data directory of one member of a new cluster, filled from a snapshot. Run once for each
 * member with the same file, --initial-cluster and token: cluster and member IDs follow from those, as at a static start.
 */
import { open, readdir } from 'node:fs/promises'
import { formatId } from '../../lib/ids.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { parseInitialCluster, parseURLs } from '../config/urls.ts'
import { prepareForNewCluster } from '../mvcc/new-cluster.ts'
import { restoreDataDirectory, type StartPlan } from '../node/lifecycle/open.ts'
import { planNew } from '../static-start.ts'
import { LmdbBackend } from '../storage/backend.ts'
import { RESTORING } from '../storage/data-directory.ts'
import { isMissing, realDisk } from '../storage/disk.ts'
import { realVolume } from '../storage/volume.ts'
import { lockDirectory } from '../storage/lock.ts'
import { readSnapshotFile } from './snapshot-file.ts'
import { inspectStore, type StoreInspection } from './store-inspection.ts'
import type { ExitCode, ToolIo } from './tool-io.ts'
import { counted } from './words.ts'

export interface RestoreFlags {
  readonly name: string
  readonly dataDir: string
  readonly initialCluster: string
  readonly initialClusterToken: string
  readonly initialAdvertisePeerUrls: string
  readonly skipHashCheck: boolean
  /** 0: the revision stays. */
  readonly bumpRevision: number
}

/** What an empty data directory may hold: what file systems put there, a member's lock, and an unfinished restore. */
const NOTHING_OF_WORTH: readonly string[] = ['lost+found', 'lock', RESTORING]

/** Thrown inside of the restore, to leave it; its message is for the user. */
class NotRestored extends Error {
  override readonly name = 'NotRestored'
}

export async function runSnapshotRestore(io: ToolIo, path: string, flags: RestoreFlags): Promise<ExitCode> {
  const restored = await restore(io, path, flags)
  if (!restored.ok) {
    await io.err.write(`Error: ${restored.error}\n`)
    return 1
  }
  await io.out.write(restored.value)
  return 0
}

/** The value tells the user what was made. */
async function restore(io: ToolIo, path: string, flags: RestoreFlags): Promise<Result<string, string>> {
  const plan = planOf(flags)
  if (!plan.ok) return plan
  const { dataDir } = flags
  if (!(await isEmpty(dataDir))) return err(`data-dir "${dataDir}" not empty or could not be read`)
  // Before anything is written: a file that is no snapshot leaves no trace.
  const sizeBytes = await readSnapshotFile(path, flags)
  if (!sizeBytes.ok) return sizeBytes
  const lock = await lockDirectory(dataDir)
  if (!lock.ok) return lock
  try {
    let inspection: StoreInspection | undefined
    await restoreDataDirectory(realVolume, dataDir, plan.value, async (storePath) => {
      inspection = await placeStore(io, path, storePath, flags)
    })
    return ok(describe(path, flags, plan.value, inspection))
  } catch (error) {
    if (!(error instanceof NotRestored)) throw error
    await realDisk.remove(`${dataDir}/${RESTORING}`)
    return err(error.message)
  } finally {
    await lock.value.release()
  }
}

/** etcdutl's checks, in its order and words. */
function planOf(flags: RestoreFlags): Result<StartPlan, string> {
  const { name, initialCluster, initialClusterToken, initialAdvertisePeerUrls } = flags
  const urls = parseURLs(initialAdvertisePeerUrls, 'advertise')
  if (!urls.ok) return err(`--initial-advertise-peer-urls: ${urls.error}`)
  const members = parseInitialCluster(initialCluster)
  if (!members.ok) return err(`--initial-cluster: ${members.error}`)
  const own = members.value.find((member) => member.name === name)
  if (own === undefined) return err(`couldn't find local name "${name}" in the initial cluster configuration`)
  if (own.peerURLs.toSorted().join() !== urls.value.toSorted().join()) {
    return err(
      `--initial-cluster has ${own.peerURLs.map((url) => `${name}=${url}`).join(',')} but missing from --initial-advertise-peer-urls=${urls.value.join(',')}`,
    )
  }
  return planNew({ name }, { members: members.value, token: initialClusterToken })
}

async function isEmpty(directory: string): Promise<boolean> {
  try {
    return (await readdir(directory)).every((name) => NOTHING_OF_WORTH.includes(name))
  } catch (error) {
    return isMissing(error)
  }
}

/** Copies, looks at the copy whole, and makes it the store of a new cluster; durable when it resolves. */
async function placeStore(io: ToolIo, path: string, storePath: string, flags: RestoreFlags): Promise<StoreInspection> {
  const file = await open(storePath, 'wx', 0o600)
  try {
    const copied = await readSnapshotFile(path, { ...flags, onChunk: (chunk) => file.appendFile(chunk) })
    if (!copied.ok) throw new NotRestored(copied.error)
    await file.sync()
  } finally {
    await file.close()
  }
  const inspected = await inspectStore(io, storePath)
  if (!inspected.ok) throw new NotRestored(inspected.error)
  const { problems } = inspected.value
  if (problems.length > 0) throw new NotRestored(`the snapshot is damaged:\n${problems.join('\n')}`)
  const backend = new LmdbBackend(storePath)
  await prepareForNewCluster(backend, { bumpRevisions: flags.bumpRevision })
  await backend.close()
  return inspected.value
}

function describe(path: string, flags: RestoreFlags, plan: StartPlan, store: StoreInspection | undefined): string {
  const revision = (store?.revision ?? 0) + flags.bumpRevision
  const members = plan.members.map(({ id, name, peerURLs }) => `${name}=${peerURLs.join(',')} (${formatId(id)})`)
  return [
    `restored ${path} into ${flags.dataDir}: member ${plan.name} (${formatId(plan.memberId)}) of cluster ${formatId(plan.clusterId)}`,
    `  ${counted(store?.keys ?? 0, 'key')}, revision ${revision}${flags.bumpRevision > 0 ? ', all of it before this marked as compacted' : ''}`,
    `  members: ${members.join('; ')}`,
    '',
  ].join('\n')
}
