/** Backup and restore of a whole cluster, with members and tools as processes. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ADMIN_PATHS } from '../../lib/admin-api.ts'
import { decodeBackupResult } from '../../lib/backup-result.ts'
import { PATIENCE_MS } from '../../lib/testing/until.ts'
import { SnapshotResponse } from '../../node-server/proto/generated/etcd/rpc.ts'
import { eventually, leaderOf, type MemberProcess, Rig } from './member-process.ts'

const MAIN = join(import.meta.dirname, '..', '..', 'node-server', 'main.ts')
const KEYS = 50
const BUMP = 100_000

let rig: Rig
before(async () => {
  rig = await Rig.open()
})
after(() => rig.close())

async function tool(...args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [MAIN, ...args])
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}

/** As `etcdctl snapshot save` does: the blobs one after the other. */
async function save(member: MemberProcess, path: string): Promise<void> {
  const pieces = await member.etcd.stream('/etcdserverpb.Maintenance/Snapshot', Buffer.alloc(0))
  await writeFile(path, Buffer.concat(pieces.map((bytes) => SnapshotResponse.decode(bytes).blob)))
}

test('one snapshot makes a new cluster of three: its data, its members, new revisions, and old ones compacted', async () => {
  const old = await rig.member('old')
  await old.start([])
  await old.isReady()
  for (let i = 0; i < KEYS; i++) await old.etcd.put(`key ${i % 10}`, `${i}`)
  const content = await old.etcd.all()
  const running = await tool('check', old.dataDirectory)
  assert.deepEqual([running.code, /another process uses/.test(running.output)], [2, true])
  const oldStatus = await old.status()
  const snapshot = join(rig.directory, 'snapshot.db')
  await save(old, snapshot)
  await old.etcd.put('too late', 'for the snapshot')
  await old.kill('SIGTERM')
  const checked = await tool('check', old.dataDirectory)
  assert.equal(checked.code, 0, checked.output)
  const status = await tool('snapshot', 'status', snapshot, '-w', 'json')
  assert.equal(status.code, 0, status.output)
  assert.match(status.output, new RegExp(`"revision":${KEYS + 1},"totalKey":10,`))

  const members = await Promise.all(['new0', 'new1', 'new2'].map((name) => rig.member(name)))
  const cluster = members.map((member) => member.asFirstMember).join(',')
  const flags = [`--initial-cluster=${cluster}`, '--initial-cluster-token=restored']
  for (const member of members) {
    const own = [`--name=${member.name}`, `--initial-advertise-peer-urls=${member.peerURL}`]
    const to = [`--data-dir=${member.dataDirectory}`, `--bump-revision=${BUMP}`, '--mark-compacted']
    const restored = await tool('snapshot', 'restore', snapshot, ...own, ...flags, ...to)
    assert.equal(restored.code, 0, restored.output)
  }
  await Promise.all(members.map((member) => member.start(flags)))
  await leaderOf(members)
  for (const member of members) {
    await member.isReady()
    assert.deepEqual(await member.etcd.all(), content, 'keys and their mod revisions are those of the snapshot')
  }
  const [first, second] = members
  assert.ok(first !== undefined && second !== undefined)
  assert.equal(await first.etcd.put('new', 'value'), BigInt(KEYS + 1 + BUMP + 1))
  assert.equal(await second.etcd.get('new'), 'value')
  const listed = await second.etcd.members()
  assert.deepEqual(
    listed.members.map(({ name, peerURLs }) => `${name} ${peerURLs.join()}`).toSorted(),
    members.map((member) => `${member.name} ${member.peerURL}`),
  )
  const { clusterId, configIndex, configHistory } = await first.status()
  assert.notEqual(clusterId, oldStatus.clusterId)
  assert.deepEqual([configIndex, configHistory.length], [1, 1])
  await compactedBefore(first)
  // The new cluster is as good as any: it takes the loss of a member.
  const { leader, others } = await leaderOf(members)
  await leader.kill('SIGKILL')
  const [survivor] = others
  assert.ok(survivor !== undefined)
  await eventually('a write without the leader', () => survivor.etcd.put('after', 'loss'))
})

/** A client of the old cluster that goes on from what it has seen is told that it must read again. */
async function compactedBefore(member: MemberProcess): Promise<void> {
  const refused = { code: 11, details: 'etcdserver: mvcc: required revision has been compacted' }
  await assert.rejects(member.etcd.get('key 1', BigInt(KEYS)), refused)
  assert.equal(await member.etcd.get('key 1', BigInt(KEYS + 1 + BUMP)), '41')
  const watched = await member.etcd.watchOnce('key 1', BigInt(KEYS))
  assert.deepEqual([watched.canceled, watched.compactRevision], [true, BigInt(KEYS + 1 + BUMP)])
}

test('a backup leaves its result for the operator once it is read back, and says what retention has left', async () => {
  const member = await rig.member('backed-up')
  await member.start([])
  await member.isReady()
  const place = join(rig.directory, 'backups')
  await mkdir(place)
  const resultFile = join(rig.directory, 'result.json')
  const take = (to: string): ReturnType<typeof tool> =>
    tool('backup', 'take', `--endpoints=${member.clientURL}`, `--to=${to}`, '--keep=1', `--result-file=${resultFile}`)
  const noDirectory = join(rig.directory, 'no-directory')
  await writeFile(noDirectory, '')
  const refused = await take(`file://${noDirectory}`)
  assert.equal(refused.code, 1, refused.output)
  await assert.rejects(readFile(resultFile), { code: 'ENOENT' })
  for (const revision of [2, 3]) {
    await member.etcd.put('key', `${revision}`)
    const taken = await take(`file://${place}`)
    assert.equal(taken.code, 0, taken.output)
    const result = decodeBackupResult(await readFile(resultFile, 'utf8'))
    assert.deepEqual([result?.revision, result?.oldest?.revision], [revision, revision])
    assert.equal(result?.place, `file://${place}`)
  }
})

test('with --rehearse a backup is restored into a member that is thrown away, and has the HashKV of the member it was taken of', async () => {
  const member = await rig.member('rehearsed')
  await member.start([])
  await member.isReady()
  for (let i = 0; i < KEYS; i++) await member.etcd.put(`key ${i % 10}`, `${i}`)
  const [place, scratch] = [join(rig.directory, 'rehearsed-place'), join(rig.directory, 'scratch')]
  const resultFile = join(rig.directory, 'rehearsed.json')
  for (const path of [place, scratch]) await mkdir(path)
  const take = (...more: readonly string[]): ReturnType<typeof tool> =>
    tool('backup', 'take', `--endpoints=${member.clientURL}`, `--to=file://${place}`, `--rehearse=${scratch}`, ...more)
  const taken = await take(`--result-file=${resultFile}`)
  assert.equal(taken.code, 0, taken.output)
  const { hash } = await member.etcd.hashKV(BigInt(KEYS + 1), PATIENCE_MS)
  const message = `restored, and HashKV of revision ${KEYS + 1} is the same: ${hash}`
  assert.deepEqual(decodeBackupResult(await readFile(resultFile, 'utf8'))?.rehearsal, { isVerified: true, message })
  // Without room the backup is there, replaces no other, and a person is told by the exit code, the operator by the result.
  await member.etcd.put('key', 'second')
  const toNobody = await take('--rehearse-bytes=1000', '--keep=1')
  assert.deepEqual([toNobody.code, /is kept, but not verified: a restore needs up to/.test(toNobody.output)], [1, true])
  await member.etcd.put('key', 'third')
  const toOperator = await take('--rehearse-bytes=1000', '--keep=1', `--result-file=${resultFile}`)
  assert.equal(toOperator.code, 0, toOperator.output)
  assert.equal(decodeBackupResult(await readFile(resultFile, 'utf8'))?.rehearsal?.isVerified, false)
  const listed = await tool('backup', 'list', `--to=file://${place}`)
  assert.equal(listed.output.trim().split('\n').length, 3, listed.output)
})

test('a backup is restored under a given ID, as the operator does it: the member starts as the cluster, and a learner joins', async () => {
  const old = await rig.member('taken-from')
  await old.start([])
  await old.isReady()
  for (let i = 0; i < KEYS; i++) await old.etcd.put(`key ${i % 10}`, `${i}`)
  const content = await old.etcd.all()
  const to = `--to=file://${join(rig.directory, 'place')}`
  const taken = await tool('backup', 'take', `--endpoints=${old.clientURL}`, to)
  assert.equal(taken.code, 0, taken.output)
  await old.kill('SIGTERM')

  const [first, second] = [await rig.member('restored0'), await rig.member('restored1')]
  const who = [`--name=${first.name}`, `--initial-advertise-peer-urls=${first.peerURL}`, '--cluster-id=abc']
  const where = [`--data-dir=${first.dataDirectory}`, `--bump-revision=${BUMP}`]
  const restored = await tool('backup', 'restore', 'newest', to, ...who, ...where)
  assert.equal(restored.code, 0, restored.output)
  await Promise.all([first, second].map((member) => member.start(['--initial-cluster-state=wait'])))
  await leaderOf([first])
  await first.isReady()
  const { clusterId, configIndex: expectedConfigIndex } = await first.status()
  assert.equal(clusterId, 'abc')
  assert.deepEqual(await first.etcd.all(), content)

  const member = { name: second.name, peerURLs: [second.peerURL] }
  const added = await first.post(ADMIN_PATHS.membership, {
    kind: 'add-learner',
    operationId: 'add',
    expectedConfigIndex,
    member,
  })
  assert.equal(added.code, 200, JSON.stringify(added.body))
  const { configIndex, members } = await first.status()
  const { memberId } = added.body
  const request = { operationId: 'join', clusterId, memberId, expectedConfigIndex: configIndex, members }
  const joined = await second.post(ADMIN_PATHS.join, request)
  assert.equal(joined.code, 200, JSON.stringify(joined.body))
  const lastIndex = (await first.status()).appliedIndex
  await eventually('the learner has all of it', async () => {
    const { appliedIndex } = await second.status()
    assert.ok(appliedIndex >= lastIndex, `${appliedIndex} of ${lastIndex}`)
  })
  assert.equal(await first.etcd.put('new', 'value'), BigInt(KEYS + 1 + BUMP + 1))
})
