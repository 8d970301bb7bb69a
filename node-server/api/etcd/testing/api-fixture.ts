/** The whole API as a client sees it: a member without Raft behind the real engine on a loopback port. */
import assert from 'node:assert/strict'
import { after, before, beforeEach } from 'node:test'
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import type { Clock } from '../../../../lib/clock.ts'
import type { GrpcServer } from '../../../grpc/engine.ts'
import { serveBuiltIn } from '../../../grpc/built-in.ts'
import type { RpcObserver } from '../../../grpc/service.ts'
import type { AuthEffect } from '../../../mvcc/results.ts'
import type { NodePort } from '../../../node/ports.ts'
import { PutRequest, RangeRequest, TxnRequest } from '../../../proto/generated/etcd/rpc.ts'
import { etcdServices } from '../services.ts'
import type { WatchOptions } from '../watch-options.ts'
import { MemoryMember } from './memory-member.ts'

const failures: string[] = []
/** What the services have handed to the engine. */
export const sent = { bytes: 0 }
const observer: RpcObserver = {
  method: () => ({ started: () => undefined, handled: () => undefined }),
  receivedBytes: () => undefined,
  sentBytes: (count) => (sent.bytes += count),
  failed: (path, error) => failures.push(`${path}: ${String(error)}`),
}
const clock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
  soon: (fire) => void setImmediate(fire),
}

export let member = new MemoryMember()
let server: GrpcServer
export let client: Client

/** Short times and small limits, so that tests reach them. */
const WATCH: Partial<WatchOptions> = {
  progressNotifyIntervalMs: 100,
  electionMs: 20,
  maxWatchesPerStream: 10,
  maxRequestBytes: 1000,
  random: () => 0,
}

const appliedListeners = new Set<() => void>()
const onApplied: NodePort['onApplied'] = (listener) => {
  appliedListeners.add(listener)
  return () => void appliedListeners.delete(listener)
}

const authListeners = new Set<(effect: AuthEffect) => void>()
const onAuthChanged: NodePort['onAuthChanged'] = (listener) => {
  authListeners.add(listener)
  return () => void authListeners.delete(listener)
}
const OUTLIVING: Readonly<Record<string | symbol, unknown>> = { onApplied, onAuthChanged }

before(async () => {
  // The services outlive the member of one test: what they ask is passed on to that of the next.
  const current = new Proxy(new MemoryMember(), {
    get: (_target, name) => OUTLIVING[name] ?? (Reflect.get(member, name, member) as unknown),
  })
  server = await serveBuiltIn({
    listenURLs: ['http://127.0.0.1:0'],
    services: etcdServices(current, { maxTxnOps: 128, clock, watch: WATCH }),
    maxReceiveBytes: 2 * 1024 * 1024,
    observer,
  })
  client = new Client(server.addresses[0] ?? '', credentials.createInsecure())
})
beforeEach(() => {
  member = new MemoryMember()
  member.onApplied(() => appliedListeners.forEach((listener) => listener()))
  member.onAuthChanged((effect) => authListeners.forEach((listener) => listener(effect)))
})
after(async () => {
  client.close()
  await server.stop(100)
  assert.deepEqual(failures, [])
})

/** The bytes of the answer, or `CODE text`. */
export function call(path: string, request: Uint8Array, metadata = new Metadata()): Promise<Buffer | string> {
  const same = (bytes: Buffer): Buffer => bytes
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, same, same, Buffer.from(request), metadata, (error, answer) =>
      resolve(error === null ? (answer ?? Buffer.alloc(0)) : `${error.code} ${error.details}`),
    )
  })
}

interface Type<Message> {
  decode(bytes: Uint8Array): Message
}

export async function answered<Message>(type: Type<Message>, path: string, request: Uint8Array): Promise<Message> {
  const answer = await call(path, request)
  assert.ok(typeof answer !== 'string', `${path}: ${String(answer)}`)
  return type.decode(answer)
}

type Loose<Type extends { fromPartial(part: never): unknown }> = Parameters<Type['fromPartial']>[0]
export const b = (text: string): Buffer => Buffer.from(text)
export const putBytes = (request: Loose<typeof PutRequest>): Uint8Array =>
  PutRequest.encode(PutRequest.fromPartial(request)).finish()
export const rangeBytes = (request: Loose<typeof RangeRequest>): Uint8Array =>
  RangeRequest.encode(RangeRequest.fromPartial(request)).finish()
export const txnBytes = (request: Loose<typeof TxnRequest>): Uint8Array =>
  TxnRequest.encode(TxnRequest.fromPartial(request)).finish()
export const put = (request: Loose<typeof PutRequest>): Promise<Buffer | string> =>
  call('/etcdserverpb.KV/Put', putBytes(request))
export const range = (request: Loose<typeof RangeRequest>): Promise<Buffer | string> =>
  call('/etcdserverpb.KV/Range', rangeBytes(request))
export const txn = (request: Loose<typeof TxnRequest>): Promise<Buffer | string> =>
  call('/etcdserverpb.KV/Txn', txnBytes(request))
export const putOp = (
  key: string,
): { readonly request: { readonly $case: 'requestPut'; readonly value: PutRequest } } => ({
  request: { $case: 'requestPut', value: PutRequest.fromPartial({ key: b(key) }) },
})
