/**
 * `snapshot restore FILE`: the data directory of one member of a new cluster, filled from a snapshot. Run once for each
 * member with the same file, --initial-cluster and token: cluster and member IDs follow from those, as at a static start.
 */
import { readdir } from 'node:fs/promises'
import { type ClusterId, formatId } from '../../lib/ids.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { parseInitialCluster, parseURLs } from '../config/urls.ts'
import type { Backend } from '../mvcc/backend.ts'
import { readMeta } from '../mvcc/meta.ts'
import { prepareForNewCluster } from '../mvcc/new-cluster.ts'
import { restoreDataDirectory, type StartPlan } from '../node/lifecycle/open.ts'
import { planNew } from '../static-start.ts'
import { RESTORING } from '../storage/data-directory.ts'
import { isMissing, realDisk } from '../storage/disk.ts'
import { realVolume } from '../storage/volume.ts'
import { lockDirectory } from '../storage/lock.ts'
import { importEtcdSnapshot, isAboutTheFile, isEtcdSnapshot, type SnapshotContent } from './etcd-snapshot.ts'
import { NotASnapshot, readSnapshotFile, snapshotPieces } from './snapshot-file.ts'
import { snapshotContent } from './snapshot-status.ts'
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
  /** Of the new cluster; derived from URLs and token where it is not given. */
  readonly clusterId?: ClusterId
  /** What becomes of the store before it is a new cluster's; it may refuse. */
  readonly change?: (store: Backend) => Promise<void>
}

/** What an empty data directory may hold: what file systems put there, a member's lock, and an unfinished restore. */
const NOTHING_OF_WORTH: readonly string[] = ['lost+found', 'lock', RESTORING]

export async function runSnapshotRestore(io: ToolIo, path: string, flags: RestoreFlags): Promise<ExitCode> {
  const restored = await restoreSnapshot(path, flags)
  if (!restored.ok) {
    await io.err.write(`Error: ${restored.error}\n`)
    return 1
  }
  await io.out.write(restored.value)
  return 0
}

/** The value tells the user what was made. */
export async function restoreSnapshot(path: string, flags: RestoreFlags): Promise<Result<string, string>> {
  const plan = planOf(flags)
  if (!plan.ok) return plan
  const { dataDir } = flags
  if (!(await isEmpty(dataDir))) return err(`data-dir "${dataDir}" not empty or could not be read`)
  // Before anything is written: a file that is no snapshot leaves no trace.
  const inspected = await inspectSnapshot(path, flags)
  if (!inspected.ok) return inspected
  const lock = await lockDirectory(dataDir)
  if (!lock.ok) return lock
  let { revision } = inspected.value
  try {
    await restoreDataDirectory(realVolume, dataDir, plan.value, async (storePath) => {
      revision = await placeStore(path, inspected.value, storePath, flags)
    })
    return ok(describe(path, flags, plan.value, { ...inspected.value, revision }))
  } catch (error) {
    await realDisk.remove(`${dataDir}/${RESTORING}`)
    if (!(error instanceof NotASnapshot) && !isAboutTheFile(error)) throw error
    return err(error.message)
  } finally {
    await lock.value.release()
  }
}

async function inspectSnapshot(path: string, flags: RestoreFlags): Promise<Result<SnapshotContent, string>> {
  const sizeBytes = await readSnapshotFile(path, flags)
  return sizeBytes.ok ? snapshotContent(path, sizeBytes.value) : sizeBytes
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
  const planned = planNew({ name }, { members: members.value, token: initialClusterToken })
  const { clusterId } = flags
  return planned.ok && clusterId !== undefined ? ok({ ...planned.value, clusterId }) : planned
}

async function isEmpty(directory: string): Promise<boolean> {
  try {
    return (await readdir(directory)).every((name) => NOTHING_OF_WORTH.includes(name))
  } catch (error) {
    return isMissing(error)
  }
}

/** Makes what is in the file the store of a new cluster; durable when it resolves, with the revision before any bump. */
async function placeStore(
  path: string,
  { sizeBytes }: SnapshotContent,
  storePath: string,
  flags: RestoreFlags,
): Promise<number> {
  const isOfEtcd = isEtcdSnapshot(path)
  if (!isOfEtcd) await realVolume.stores.receive(storePath, snapshotPieces(path, flags))
  const backend = await realVolume.stores.open(storePath)
  if (isOfEtcd) await importEtcdSnapshot(path, sizeBytes, backend)
  await flags.change?.(backend)
  const { revision } = readMeta(backend)
  await prepareForNewCluster(backend, { bumpRevisions: flags.bumpRevision })
  await backend.close()
  return revision
}

function describe(path: string, flags: RestoreFlags, plan: StartPlan, store: SnapshotContent): string {
  const revision = store.revision + flags.bumpRevision
  // Of the file: what was changed in it may have more of them, or fewer.
  const keys = flags.change === undefined ? `${counted(store.keys, 'key')}, ` : ''
  const members = plan.members.map(({ id, name, peerURLs }) => `${name}=${peerURLs.join(',')} (${formatId(id)})`)
  return [
    `restored ${path} into ${flags.dataDir}: member ${plan.name} (${formatId(plan.memberId)}) of cluster ${formatId(plan.clusterId)}`,
    `  ${keys}revision ${revision}${flags.bumpRevision > 0 ? ', all of it before this marked as compacted' : ''}`,
    `  members: ${members.join('; ')}`,
    '',
  ].join('\n')
}
