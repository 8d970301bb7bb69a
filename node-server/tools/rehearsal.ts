/**
 * `backup take --rehearse DIRECTORY`: a restore of the backup that was just taken. It is fetched from its place and restored as
 * `backup restore` does it, a member that has neither clients nor peers starts on it and elects itself, and what that member has at the
 * backup's revision is compared with what the cluster's member had, by HashKV. Then all of it is removed.
 *
 * The backup stands whatever comes of it, so nothing that goes wrong here is thrown.
 */
import { mkdir, rm } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import type { Rehearsal } from '../../lib/backup-result.ts'
import { err, type Result } from '../../lib/result.ts'
import { systemClock } from '../../lib/system-clock.ts'
import type { StoredBackup } from '../backup/backup.ts'
import { BackupFailed, type Destination } from '../backup/destination.ts'
import type { MemberHash } from '../backup/source.ts'
import { beginHashAsOf, hashSlice } from '../mvcc/hash-kv.ts'
import type { Store } from '../mvcc/store.ts'
import { Lifecycle, type LifecycleOptions } from '../node/lifecycle/lifecycle.ts'
import { momentaryOptions } from '../node/momentary.ts'
import type { NodePort } from '../node/ports.ts'
import { readIdentity } from '../storage/data-directory.ts'
import { realDisk } from '../storage/disk.ts'
import { realVolume } from '../storage/volume.ts'
import { restoreBackup } from './backup-restore.ts'
import { humanSize } from './words.ts'

export interface RehearsalOptions {
  readonly directory: string
  /** What it may take of the directory's disk; undefined: whatever there is. */
  readonly maxBytes: number | undefined
}

const NAME = 'rehearsal'
const PEER_URL = 'http://127.0.0.1:2380'
/** The file that was fetched, and the store that is made of it, which may be twice as large before it is in order. */
const COPIES = 3
/** The log and what else a member begins with. */
const MEMBER_BYTES = 64 * 1024 * 1024
/** To read its store and elect itself. */
const START_TIMEOUT_MS = 60_000

/** `expected`: of the cluster's member, at the backup's revision. */
export async function rehearse(
  backup: StoredBackup,
  place: Destination,
  expected: Result<MemberHash, string>,
  { directory, maxBytes = Infinity }: RehearsalOptions,
): Promise<Rehearsal> {
  const failed = (message: string): Rehearsal => ({ isVerified: false, message })
  const { revision, databaseBytes } = backup.manifest
  if (!expected.ok) return failed(expected.error)
  const neededBytes = COPIES * databaseBytes + MEMBER_BYTES
  if (neededBytes > maxBytes)
    return failed(`a restore needs up to ${humanSize(neededBytes)}, and ${humanSize(maxBytes)} are available`)
  const folder = `${directory}/${NAME}`
  try {
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true })
    const dataDir = `${folder}/data`
    const member = { clusterId: 1n, name: NAME, dataDir, peerUrls: PEER_URL, bumpRevision: 0 }
    await restoreBackup(async () => ({ backup, course: undefined }), place, member)
    const hash = await withRestored(dataDir, ({ store }) => hashAt(store, revision, expected.value.compactedRevision))
    if (hash === expected.value.hash)
      return { isVerified: true, message: `restored, and HashKV of revision ${revision} is the same: ${hash}` }
    return failed(
      `restored, and HashKV of revision ${revision} is ${hash}, where the cluster has ${expected.value.hash}`,
    )
  } catch (error) {
    return failed(`it could not be restored: ${error instanceof Error ? error.message : String(error)}`)
  } finally {
    await rm(folder, { recursive: true, force: true }).catch(() => undefined)
  }
}

type Transport = Awaited<ReturnType<LifecycleOptions['connect']>>

const NOBODY_ELSE: Transport = {
  setPeers: () => undefined,
  send: () => undefined,
  takesProposals: () => false,
  request: async () => err('there is no other member'),
  sendSnapshot: async () => err('there is no other member'),
  stats: () => ({ sentBytes: 0, sendFailures: 0, connectedSinceMs: undefined, receivedBytes: 0 }),
  close: async () => undefined,
}

async function withRestored<Value>(dataDirectory: string, use: (member: NodePort) => Promise<Value>): Promise<Value> {
  const identity = await readIdentity(realDisk, dataDirectory)
  if (!identity.ok || identity.value === undefined) throw new BackupFailed(`${dataDirectory} is not a member's`)
  const admitted = Promise.withResolvers<NodePort>()
  admitted.promise.catch(() => undefined) // whoever waits for it meets it, too
  const lifecycle = new Lifecycle({
    volume: realVolume,
    dataDirectory,
    peerURLs: [PEER_URL],
    connect: async () => NOBODY_ELSE,
    version: '',
    etcdVersion: '',
    node: momentaryOptions(NAME, systemClock),
    onFatal: admitted.reject,
    onAdmitted: async (member) => admitted.resolve(member),
    onRemoved: () => undefined,
  })
  const seconds = START_TIMEOUT_MS / 1000
  const timer = setTimeout(
    () => admitted.reject(new BackupFailed(`the member did not start within ${seconds} s`)),
    START_TIMEOUT_MS,
  )
  try {
    const started = await lifecycle.run(identity.value)
    if (!started.ok) throw new BackupFailed(started.error)
    const member = await admitted.promise
    const { damage } = member.status()
    if (damage !== undefined) throw new BackupFailed(`the member's store is damaged: ${damage}`)
    return await use(member)
  } finally {
    clearTimeout(timer)
    await lifecycle.stop()
  }
}

/** As after a compaction that the cluster's member may have gone through since the backup, and this one has not. */
async function hashAt(store: Store, revision: number, compactedRevision: number): Promise<number> {
  const pass = beginHashAsOf(compactedRevision, revision)
  for (;;) {
    const hashed = hashSlice(store, pass)
    if (hashed !== undefined) return hashed.hash
    await setImmediate()
  }
}
