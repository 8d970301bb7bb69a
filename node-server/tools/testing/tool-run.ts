/** Tools as the program runs them, with what they print and end with; stores and files for them to look at. */
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import type { TestContext } from 'node:test'
import { ClusterId, LogIndex, MemberId, Term } from '../../../lib/ids.ts'
import { encodeCommand } from '../../mvcc/command.ts'
import { compactTo, deleteRange, put, putRequest } from '../../mvcc/testing/requests.ts'
import { createDataDirectory } from '../../node/lifecycle/open.ts'
import { PutRequest } from '../../proto/generated/etcd/rpc.ts'
import { memberPaths, type MemberPaths } from '../../storage/data-directory.ts'
import { realDisk } from '../../storage/disk.ts'
import { realVolume } from '../../storage/volume.ts'
import { replay } from '../../storage/wal-replay.ts'
import { Wal } from '../../storage/wal.ts'
import { openStore } from '../../node/maintenance/snapshots.ts'
import { runTool } from '../tools.ts'

export interface ToolRun {
  readonly code: number
  readonly out: string
  readonly err: string
}

export async function tool(...args: readonly string[]): Promise<ToolRun> {
  const printed: { out: string; err: string } = { out: '', err: '' }
  const into = (name: 'out' | 'err'): Writable =>
    new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        printed[name] += chunk.toString('utf8')
        done()
      },
    })
  const code = await runTool(args, { stdout: into('out'), stderr: into('err') })
  return { code, ...printed }
}

export async function temporary(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'raftkv-tools-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export const KEYS = 3
/** Five puts and a delete. */
export const REVISION = 7
export const COMPACTED = 3
const MEMBER = MemberId(0xa1n)
const TERM = Term(2)

/**
 * The data directory of a member that has stopped: entries up to 8 are in the log and in the store, entry 9 is only in the
 * log. (The store was not made from the log; the tools compare indexes and terms, not contents.)
 */
export async function dataDirectory(t: TestContext): Promise<{ directory: string; paths: MemberPaths }> {
  const directory = join(await temporary(t), 'data')
  const member = { id: MEMBER, name: 'infra0', peerURLs: ['http://127.0.0.1:1'], clientURLs: [], isLearner: false }
  await createDataDirectory(realVolume, directory, {
    kind: 'bootstrap',
    clusterId: ClusterId(0xc1n),
    memberId: MEMBER,
    name: 'infra0',
    members: [member],
    operationId: '',
  })
  const paths = memberPaths(directory)
  await appendEntries(paths)
  const store = await openStore(realVolume, paths)
  for (const [key, value] of [
    ['a', '1'],
    ['b', '2'],
    ['a', '3'],
    ['c', '4'],
  ] as const)
    put(store, key, value)
  deleteRange(store, 'b')
  compactTo(store, COMPACTED)
  put(store, 'b', 'again')
  store.update({ appliedTerm: TERM })
  await store.close()
  return { directory, paths }
}

async function appendEntries(paths: MemberPaths): Promise<void> {
  const contents = await replay(realDisk, paths.wal)
  if (!contents.ok) throw new Error(contents.error)
  const options = { segmentSizeBytes: 1024 * 1024, preparedSizeBytes: 4096, onSync: () => undefined }
  const wal = await Wal.resume(realDisk, paths.wal, contents.value, options)
  for (let index = 2; index <= 9; index++) {
    const request = PutRequest.encode(putRequest(`key ${index}`, 'value')).finish()
    const data = encodeCommand({ kind: 'put', requestId: BigInt(index), request })
    const hardState = { term: TERM, vote: MEMBER, commit: LogIndex(index) }
    await wal.append(hardState, [{ term: TERM, index: LogIndex(index), kind: 'normal', data }], true)
  }
  await wal.close()
}

/** A snapshot as `etcdctl snapshot save` writes it: the store as a stream, and its digest. */
export async function snapshotOf(paths: MemberPaths, path: string): Promise<void> {
  const store = await openStore(realVolume, paths)
  const pinned = await store.backend.pin()
  const stream = Buffer.concat(await Array.fromAsync(pinned.read()))
  await pinned.release()
  await store.close()
  await writeFile(path, Buffer.concat([stream, createHash('sha256').update(stream).digest()]))
}
