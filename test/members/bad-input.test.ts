/** What a member is given that it cannot use: each gets a clear error, and the member goes on. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { FLAGS } from '../../node-server/config/table.ts'
import { PutRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import { ADMIN_PATHS } from '../../lib/admin-api.ts'
import { ClusterId, NOBODY } from '../../lib/ids.ts'
import { encodeFrame, encodeHello, FRAME, PROTOCOL_VERSION } from '../../node-server/transport/frame.ts'
import { MemberProcess, Rig } from './member-process.ts'

const TOKEN = 'a secret of this test'
/** The flags that etcd's tutorials and the operator need. */
const PROMISED_FLAGS = [
  'name',
  'data-dir',
  'listen-client-urls',
  'advertise-client-urls',
  'listen-peer-urls',
  'initial-advertise-peer-urls',
  'initial-cluster',
  'initial-cluster-token',
  'initial-cluster-state',
  'listen-metrics-urls',
  'listen-admin-urls',
  'admin-token-file',
  'heartbeat-interval',
  'election-timeout',
  'snapshot-count',
  'quota-backend-bytes',
  'max-request-bytes',
  'max-txn-ops',
  'log-level',
]

let rig: Rig
let member: MemberProcess
let flags: readonly string[]

before(async () => {
  rig = await Rig.open()
  const tokenFile = join(rig.directory, 'token')
  await writeFile(tokenFile, `${TOKEN}\n`)
  member = await rig.member('lone')
  flags = [`--admin-token-file=${tokenFile}`]
  await member.start(flags)
  await member.isReady()
  await member.etcd.put('kept', 'value')
})
after(() => rig.close())

/** Runs until it ends by itself: what it said and its exit code. */
async function run(
  name: string,
  given: readonly string[],
  directory = name,
): Promise<{ code: number | null; output: string }> {
  const process = await rig.member(name, directory)
  process.spawn(given)
  const { code } = await process.ended()
  return { code, output: process.output }
}

const stillWorks = async (): Promise<void> => assert.equal(await member.etcd.get('kept'), 'value')

test('an oversized request is refused with the code and text of etcd', async () => {
  const put = (size: number): Promise<bigint> => member.etcd.put('large', 'x'.repeat(size))
  const refused = { code: 3, details: 'etcdserver: request is too large' }
  await assert.rejects(put(1.5 * 1024 * 1024), refused)
  // Beyond what gRPC takes at all, where etcd's clients get ResourceExhausted.
  await assert.rejects(put(4 * 1024 * 1024), { code: 8 })
  await put(1.4 * 1024 * 1024)
  await stillWorks()
})

test('bytes that are no protobuf message and methods that are not there have codes of their own', async () => {
  const valid = PutRequest.encode(
    PutRequest.fromPartial({ key: Buffer.from('k'), value: Buffer.from('value') }),
  ).finish()
  await assert.rejects(member.etcd.callBytes('/etcdserverpb.KV/Put', valid.subarray(0, valid.length - 2)), { code: 13 })
  await assert.rejects(member.etcd.callBytes('/etcdserverpb.KV/Put', Buffer.alloc(64, 0xff)), { code: 13 })
  await assert.rejects(member.etcd.callBytes('/etcdserverpb.KV/NoSuchMethod', valid), { code: 12 })
  await stillWorks()
})

test('a change through the admin API needs the token; reading does not', async () => {
  const body = { kind: 'remove', operationId: 'x', expectedConfigIndex: 1, memberId: '1' }
  for (const token of [undefined, 'another', `${TOKEN} `.repeat(2), '']) {
    const answer = await member.post(ADMIN_PATHS.membership, body, token)
    assert.deepEqual([answer.code, answer.body.code], [401, 'Unauthorized'])
  }
  assert.equal((await member.post(ADMIN_PATHS.membership, body, TOKEN)).code, 404)
  assert.equal((await member.status()).name, 'lone')
})

test('JSON that is not the admin API’s is named by what is wrong with it', async () => {
  const cases: readonly [unknown, RegExp][] = [
    ['{"kind": ', /not JSON/],
    ['[]', /expected/i],
    [{ kind: 'destroy', operationId: 'x', expectedConfigIndex: 1 }, /kind/],
    [{ kind: 'remove', operationId: '', expectedConfigIndex: 1, memberId: '1' }, /operationId/],
    [{ kind: 'remove', operationId: 'x', expectedConfigIndex: -1, memberId: '1' }, /expectedConfigIndex/],
    [{ kind: 'remove', operationId: 'x', expectedConfigIndex: 1, memberId: 'not hex' }, /memberId: must be an ID/],
    [{ kind: 'remove', operationId: 'x', expectedConfigIndex: 1, memberId: '1', force: true }, /force/],
  ]
  for (const [body, reason] of cases) {
    const answer = await member.post(ADMIN_PATHS.membership, body, TOKEN)
    assert.deepEqual([answer.code, answer.body.code], [400, 'BadRequest'], JSON.stringify(body))
    assert.match(answer.body.message ?? '', reason)
  }
  await stillWorks()
})

test('what once ended a member is refused, or does no harm: in a cluster it would have ended every member at every start', async () => {
  const { configIndex } = await member.status()
  // 256 characters, and three times as many bytes.
  const long = { kind: 'remove', operationId: '€'.repeat(256), expectedConfigIndex: configIndex, memberId: '1' }
  const refused = await member.post(ADMIN_PATHS.membership, long, TOKEN)
  assert.deepEqual([refused.code, refused.body.message], [400, 'operationId: must be at most 256 bytes of UTF-8'])
  // A query, for which nobody has to be a member, whose request ends within its number.
  const stranger = connect(member.ports.peer, '127.0.0.1')
  await once(stranger, 'connect')
  const nobody = { version: PROTOCOL_VERSION, clusterId: ClusterId(0n), from: NOBODY, to: NOBODY }
  stranger.write(encodeHello({ ...nobody, purpose: 'query', peerURLs: [] }))
  stranger.write(encodeFrame(FRAME.request, Buffer.of(1, 2, 3)))
  stranger.resume()
  await once(stranger, 'close')
  // A peer URL that etcd takes as well, and that no URL parser of ours does.
  const added = await member.etcd.addMember('http://127.0.0.1:99999', true)
  await stillWorks()
  await member.etcd.removeMember(added.member?.ID ?? 0n)
  await stillWorks()
})

test('the last voter cannot be removed', async () => {
  const { memberId, configIndex } = await member.status()
  const body = { kind: 'remove', operationId: 'last', expectedConfigIndex: configIndex, memberId }
  const answer = await member.post(ADMIN_PATHS.membership, body, TOKEN)
  assert.deepEqual([answer.code, answer.body.code], [412, 'QuorumAtRisk'])
  await stillWorks()
})

test('a second process on the same directory ends with 1 and says who is in the way; the first goes on', async () => {
  const { code, output } = await run('intruder', [], 'lone')
  assert.equal(code, 1)
  assert.match(output, /another process uses .*lone: stop it first, or give this one a directory of its own/)
  await stillWorks()
})

test('wrong flags end with 2 and are named', async () => {
  const cases: readonly [readonly string[], RegExp][] = [
    [['--no-such-flag=1'], /--no-such-flag: there is no such flag/],
    [['--snapshot-count=many'], /--snapshot-count: 'many' is not a whole number/],
    [['--initial-cluster-state=wait', '--initial-cluster=a=http://a:1'], /--initial-cluster: not together with/],
    [['--initial-cluster=twin=http://127.0.0.1:1,twin=http://127.0.0.1:2'], /--initial-cluster: .*twin/],
  ]
  const ends = await Promise.all(cases.map(([given]) => run('twin', given)))
  for (const [i, { code, output }] of ends.entries()) {
    assert.equal(code, 2, output)
    assert.match(output, cases[i]?.[1] ?? /never/)
  }
})

test('--help ends with 0 and has every flag there is', async () => {
  const { code, output } = await run('help', ['--help'])
  assert.equal(code, 0)
  for (const flag of new Set([...PROMISED_FLAGS, ...Object.keys(FLAGS), 'version', 'help']))
    assert.match(output, new RegExp(`--${flag} |--${flag}\n`))
})

test('a directory that is not whole is refused with what is missing', async () => {
  await mkdir(join(rig.directory, 'torn', 'member', 'wal'), { recursive: true })
  const { code, output } = await run('torn', [])
  assert.equal(code, 1)
  assert.match(output, /identity\.json is missing, but there is data beside it \(wal\)/)
})

test('a directory of another cluster stays with that one, whatever the flags say, and a join to this one is a conflict', async () => {
  const stranger = new MemberProcess('stranger', (await rig.member('unused')).ports, join(rig.directory, 'stranger'))
  rig.members.push(stranger)
  await stranger.start(['--initial-cluster-token=another'])
  await stranger.isReady()
  const before = await stranger.status()
  await stranger.kill('SIGTERM')
  // Flags of a start say nothing once there is data, as in etcd: it stays in the cluster that its directory names.
  await stranger.start([`--initial-cluster=${member.asFirstMember},${stranger.asFirstMember}`])
  await stranger.isReady()
  const after = await stranger.status()
  assert.equal(after.clusterId, before.clusterId)
  assert.notEqual(after.clusterId, (await member.status()).clusterId)
  const request = {
    operationId: 'take over',
    clusterId: (await member.status()).clusterId,
    memberId: after.memberId,
    expectedConfigIndex: 1,
    members: after.members,
  }
  const { code, body } = await stranger.post(ADMIN_PATHS.join, request)
  assert.deepEqual([code, body.code], [409, 'Conflict'])
})
