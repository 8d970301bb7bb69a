/**
 * Every method of the etcd API, given bytes that no client of ours sends: each is answered with a message of its type or
 * with a status, nothing is thrown, and the store stays sound. What this finds is shrunk and printed by fast-check, with its seed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DescMessage } from '@bufbuild/protobuf'
import * as fc from 'fast-check'
import { systemClock } from '../../lib/system-clock.ts'
import { etcdServices } from '../../node-server/api/etcd/services.ts'
import { messageToJson } from '../../node-server/api/http/message-json.ts'
import { MemoryMember } from '../../node-server/api/etcd/testing/memory-member.ts'
import type { CallContext, Method, RpcStatus, RpcStream } from '../../node-server/grpc/service.ts'
import { listAlarms } from '../../node-server/mvcc/alarms.ts'
import { BcryptPasswords } from '../../node-server/node/auth/passwords.ts'
import { readMeta } from '../../node-server/mvcc/meta.ts'
import { REGISTRY } from '../../node-server/proto/descriptors.ts'
import {
  AlarmRequest,
  AlarmRequest_AlarmAction as AlarmAction,
  PutRequest,
  RangeRequest,
  RangeResponse,
} from '../../node-server/proto/generated/etcd/rpc.ts'
import { checkTables } from '../../node-server/tools/store-tables.ts'
import { requestsOf } from './typed.ts'

/** A method that waits for something is given up by its client, as clients do. */
const CALL_TIMEOUT_MS = 10
const UNARY_RUNS = 300
/** One that stays open costs its time limit. */
const STREAM_RUNS = 30

/** Of what is said about it in the protos. */
function methodTypes(path: string): { readonly input: DescMessage; readonly output: DescMessage } {
  const [, service = '', name = ''] = path.split('/')
  const method = REGISTRY.getService(service)?.methods.find((method) => method.name === name)
  assert.ok(method !== undefined, `${path} is in no proto`)
  return method
}

async function call(method: Method, requests: readonly Buffer[], output: DescMessage): Promise<RpcStatus | undefined> {
  const gone = new AbortController()
  const context: CallContext = { metadata: () => undefined, signal: gone.signal, peer: '127.0.0.1:1' }
  const timer = setTimeout(() => gone.abort(), CALL_TIMEOUT_MS)
  try {
    if (method.kind === 'unary') {
      const answer = await method.handle(requests[0] ?? Buffer.alloc(0), context)
      if (answer.ok) messageToJson(output, answer.value) // throws for what is no answer of that type
      return answer.ok ? undefined : answer.error
    }
    const stream: RpcStream = {
      write: (responses) => {
        for (const parts of responses) messageToJson(output, Buffer.concat(parts))
        return !gone.signal.aborted
      },
      drained: () => Promise.resolve(false),
      requests: (async function* sent(): AsyncIterable<Uint8Array> {
        yield* requests
      })(),
    }
    return await method.handle(stream, context)
  } finally {
    clearTimeout(timer)
    gone.abort()
  }
}

/** Where etcd, too, hands on plain errors without a code. */
const MAY_BE_UNKNOWN = /^\/(v3lockpb|v3electionpb)\.|Maintenance\/Downgrade$|Auth\/(UserAdd|UserChangePassword)$/

function assertStatus(path: string, status: RpcStatus | undefined): void {
  if (status === undefined) return
  assert.match(status.code, /^[A-Z][A-Za-z]+$/)
  assert.notEqual(status.message, '')
  if (!MAY_BE_UNKNOWN.test(path)) assert.notEqual(status.code, 'Unknown')
}

async function assertSound(member: MemoryMember, services: Readonly<Record<string, Method>>): Promise<void> {
  await member.store.commit()
  const { problems } = checkTables(member.store.backend, readMeta(member.store.backend))
  assert.deepEqual(problems, [])
  // What was raised on the way refuses writes, as it should.
  for (const raised of listAlarms(member.store.alarms))
    await member.propose('alarm', AlarmRequest.encode({ ...raised, action: AlarmAction.DEACTIVATE }).finish())
  const key = Buffer.from('still here')
  const put = services['/etcdserverpb.KV/Put']
  const range = services['/etcdserverpb.KV/Range']
  assert.ok(put?.kind === 'unary' && range?.kind === 'unary')
  const context: CallContext = { metadata: () => undefined, signal: new AbortController().signal, peer: '' }
  const written = await put.handle(PutRequest.encode(PutRequest.fromPartial({ key })).finish(), context)
  assert.ok(written.ok)
  const read = await range.handle(RangeRequest.encode(RangeRequest.fromPartial({ key })).finish(), context)
  assert.ok(read.ok && RangeResponse.decode(read.value).count === 1n)
}

/** The cheapest there is: it is not what is looked at. */
const auth = { passwords: new BcryptPasswords(4) }

for (const path of Object.keys(etcdServices(new MemoryMember(), { maxTxnOps: 128, clock: systemClock }))) {
  test(`${path} answers whatever bytes it is given`, async () => {
    const member = new MemoryMember()
    const services = etcdServices(member, { maxTxnOps: 128, clock: systemClock, auth })
    const method = services[path]
    assert.ok(method !== undefined)
    const { input, output } = methodTypes(path)
    // Something to read, to delete and to compare with.
    for (const text of ['a', 'b', 'b', 'aa']) {
      const request = PutRequest.fromPartial({ key: Buffer.from(text), value: Buffer.from('v') })
      await member.propose('put', PutRequest.encode(request).finish())
    }
    await fc.assert(
      fc.asyncProperty(fc.array(requestsOf(input), { minLength: 1, maxLength: 3 }), async (requests) =>
        assertStatus(path, await call(method, requests, output)),
      ),
      { numRuns: method.kind === 'unary' ? UNARY_RUNS : STREAM_RUNS },
    )
    await assertSound(member, services)
  })
}
