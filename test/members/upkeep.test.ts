/**
 * Members that fill up, and what the operator decides about it, carried out at their admin API: by its own rule, on what they tell, until
 * there is nothing left to do.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { ADMIN_PATHS, type AdminStatus } from '../../lib/admin-api.ts'
import { HttpAdminClient } from '../../operator/admin-client.ts'
import { membershipOf } from '../../operator/cluster/membership.ts'
import type { Observed } from '../../operator/cluster/observed.ts'
import { noSpaceAfter, reclaimSpace } from '../../operator/cluster/rules/reclaim.ts'
import { cluster as raftCluster, observedWith, pod } from '../../operator/cluster/testing/observed.ts'
import { PutRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import { type Cluster, eventually, type MemberProcess, Rig } from './member-process.ts'

const QUOTA_BYTES = 8 * 1024 * 1024
const VALUE_BYTES = 256 * 1024
/** More looks than any course of it takes: each waits for 50 ms where there is nothing to ask. */
const MAX_LOOKS = 2000

let rig: Rig
let cluster: Cluster
const admin = new HttpAdminClient(() => ({ isAllowed: true, withinMs: 1000 }))

before(async () => {
  rig = await Rig.open()
  cluster = await rig.cluster(['kv-0', 'kv-1', 'kv-2'], [`--quota-backend-bytes=${QUOTA_BYTES}`])
})
after(() => Promise.all([rig.close(), admin.close()]))

function put(member: MemberProcess, key: string): Promise<Buffer> {
  const request = PutRequest.fromPartial({ key: Buffer.from(key), value: randomBytes(VALUE_BYTES) })
  return member.etcd.callBytes('/etcdserverpb.KV/Put', PutRequest.encode(request).finish())
}

async function fill(member: MemberProcess): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    try {
      await put(member, `k${i % 4}`)
    } catch (error) {
      return assert.match(String(error), /database space exceeded/)
    }
  }
  assert.fail('1000 values of 256 KiB fit 8 MiB')
}

/** As the operator reads and checks them. */
function statuses(): Promise<readonly AdminStatus[]> {
  return Promise.all(
    cluster.members.map(async ({ ports }) => {
      const answer = await admin.status(`http://127.0.0.1:${ports.admin}`)
      assert(answer.ok, JSON.stringify(answer))
      return answer.value
    }),
  )
}

/** What the operator would see, `recorded` being its status. */
function observedFrom(found: readonly AdminStatus[], recorded: object, nowMs: number): Observed | undefined {
  const of = raftCluster({ ...recorded, clusterID: found[0]?.clusterId }, { replicas: 3 })
  const pods = found.map((status, ordinal) => pod(ordinal, status))
  const membership = membershipOf(of, pods)
  if (membership === undefined) return undefined
  return { ...observedWith(membership, of), nowMs, pods: new Map(pods.map((one) => [one.ordinal, one])) }
}

test('the operator’s rule brings a full cluster back: what it asks for is done, step by step, and writes go on', async () => {
  const [first] = cluster.members
  assert(first !== undefined)
  await fill(first)
  await eventually('the alarm is in force', async () => {
    for (const { alarms = [] } of await statuses()) assert.notDeepEqual(alarms, [])
  })
  const asked: string[] = []
  let recorded = {}
  for (let looks = 0; looks < MAX_LOOKS; looks++) {
    const found = await statuses()
    const isOver = found.every(({ alarms = [] }) => alarms.length === 0)
    if (isOver) break
    // A minute a look: what it waits for by the clock has had its time.
    const observed = observedFrom(found, recorded, looks * 60_000)
    const plan = observed && reclaimSpace(observed)
    if (observed === undefined || plan === undefined) continue
    const noSpace = noSpaceAfter(observed, plan)
    recorded = { operation: plan.operation, ...(noSpace !== undefined && { maintenance: { noSpace } }) }
    for (const action of plan.actions) {
      if (action.kind !== 'keep-up' && action.kind !== 'transfer-leader') continue
      const path = action.kind === 'keep-up' ? ADMIN_PATHS.upkeep : ADMIN_PATHS.leaderTransfer
      const member = cluster.members.find(({ name }) => name === action.url)
      const answer = await member?.post(path, action.request)
      if (answer?.code === 200) asked.push(action.kind === 'keep-up' ? action.request.kind : 'transfer-leader')
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  // How much has to be done for it depends on what each store has given back by itself.
  assert.equal(asked.at(-1), 'disarm', asked.join())
  for (const { store, alarms } of await statuses()) {
    assert.deepEqual(alarms, [])
    assert(store !== undefined && store.sizeBytes < 0.9 * QUOTA_BYTES, JSON.stringify(store))
    assert(store.volumeFreeBytes > 0 && store.volumeBytes > store.volumeFreeBytes && store.quotaBytes === QUOTA_BYTES)
  }
  for (const member of cluster.members) await put(member, 'again')
})

test('what was decided on another configuration is refused, and so is what is no request of this API', async () => {
  const [first] = cluster.members
  assert(first !== undefined)
  const { memberId, configIndex } = await first.status()
  const request = { kind: 'defragment', operationId: 'x', memberId, expectedConfigIndex: configIndex + 1 }
  assert.equal((await first.post(ADMIN_PATHS.upkeep, request)).code, 409)
  assert.equal((await first.post(ADMIN_PATHS.upkeep, { ...request, kind: 'shrink' })).code, 400)
})
