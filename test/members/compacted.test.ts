/**
 * Members whose store was defragmented, or came as a snapshot that they installed, take commits of any size: a database before
 * this one ended the process at the first one that freed many pages.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { HashKVResponse, PutRequest, TxnRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import { add, eventually, Rig, type Cluster, type MemberProcess } from './member-process.ts'

const KEYS = 20_000
/** One entry, and so one commit. */
const KEYS_OF_TXN = 5000
const NOTHING = Buffer.alloc(0)

let rig: Rig
let cluster: Cluster

before(async () => {
  rig = await Rig.open()
  const logIsShort = ['--snapshot-count=5', '--snapshot-catchup-entries=1']
  cluster = await rig.cluster(['m0', 'm1', 'm2'], [`--max-txn-ops=${KEYS_OF_TXN}`, ...logIsShort])
  const step = KEYS / KEYS_OF_TXN
  for (let first = 0; first < step; first++) await putAllOver(first)
})
after(() => rig.close())

/** Every so many keys, so that nearly all pages of the keys change. */
async function putAllOver(first: number): Promise<void> {
  const [member] = cluster.members
  assert.ok(member !== undefined)
  const success = Array.from({ length: KEYS_OF_TXN }, (_, i) => {
    const key = Buffer.from(`key ${String(first + (i * KEYS) / KEYS_OF_TXN).padStart(8, '0')}`)
    const value = PutRequest.fromPartial({ key, value: Buffer.alloc(100, first) })
    return { request: { $case: 'requestPut' as const, value } }
  })
  const request = TxnRequest.encode({ compare: [], success, failure: [] }).finish()
  await member.etcd.callBytes('/etcdserverpb.KV/Txn', request)
}

/** Commits what was applied and goes on in a copy: answered by a member that lives. */
async function defragment(member: MemberProcess): Promise<void> {
  await member.etcd.callBytes('/etcdserverpb.Maintenance/Defragment', NOTHING, 30_000)
}

/** Ends it, which commits what was applied, and starts it again. */
async function restart(member: MemberProcess, flags: readonly string[]): Promise<void> {
  const { code } = await member.kill('SIGTERM')
  assert.equal(code, 0, member.output.slice(-1000))
  await member.start(flags)
  // A learner serves and is not ready.
  await eventually('it serves', () => fetch(`${member.clientURL}/livez`))
}

async function agree(members: readonly MemberProcess[]): Promise<void> {
  await eventually('all hold the same', async () => {
    const answers = members.map((member) => member.etcd.callBytes('/etcdserverpb.Maintenance/HashKV', NOTHING))
    const hashes = (await Promise.all(answers)).map((bytes) => HashKVResponse.decode(bytes))
    assert.equal(new Set(hashes.map(({ hash, hashRevision }) => `${hash} ${hashRevision}`)).size, 1)
  })
}

test('a large commit after a defragmentation, twice, and after a restart', async () => {
  for (let round = 0; round < 2; round++) {
    await Promise.all(cluster.members.map(defragment))
    await putAllOver(round)
  }
  await agree(cluster.members)
  const [first] = cluster.members
  assert.ok(first !== undefined)
  await restart(first, cluster.flags)
  await putAllOver(1)
  await agree(cluster.members)
})

test('a large commit after a snapshot was installed', async () => {
  const [first] = cluster.members
  const learner = await rig.member('m3')
  assert.ok(first !== undefined)
  await add(first, learner, true)
  const all = [...cluster.members, learner].map((member) => member.asFirstMember).join(',')
  const flags = [`--initial-cluster=${all}`, '--initial-cluster-state=existing']
  await learner.start(flags)
  await eventually('it has a snapshot', () => Promise.resolve(assert.match(learner.output, /installed a snapshot/)))
  for (let round = 0; round < 2; round++) {
    await putAllOver(round)
    await eventually('it has applied what the first has', async () => {
      const [wanted, found] = await Promise.all([first.status(), learner.status()])
      assert.ok(found.appliedIndex >= wanted.appliedIndex)
    })
    await restart(learner, flags)
  }
})
