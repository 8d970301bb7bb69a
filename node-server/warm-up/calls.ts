/** What clients ask most, as it goes over the line. */
import { PutRequest, RangeRequest, TxnRequest } from '../proto/generated/etcd/rpc.ts'
import { CallTemplate } from './scratch-client.ts'

const VALUE = Buffer.alloc(256, 'v')
const KEYS = 64

/** One after the other, and again from the first: mostly puts, for which there is the most to compile. */
export function usualCalls(): readonly CallTemplate[] {
  return Array.from({ length: KEYS }, (_, i) => callOf(i))
}

function callOf(i: number): CallTemplate {
  switch (i % 10) {
    case 6:
      return getOf(i, true)
    case 7:
    case 8:
      return getOf(i, false)
    case 9:
      return txnOf(i)
    default:
      return new CallTemplate('/etcdserverpb.KV/Put', PutRequest.encode(put(i)).finish())
  }
}

function put(i: number): PutRequest {
  return PutRequest.fromPartial({ key: keyOf(i), value: VALUE })
}

function getOf(i: number, serializable: boolean): CallTemplate {
  const request = RangeRequest.fromPartial({ key: keyOf(i - 5), serializable }) // one that is put
  return new CallTemplate('/etcdserverpb.KV/Range', RangeRequest.encode(request).finish())
}

function txnOf(i: number): CallTemplate {
  const success = [{ request: { $case: 'requestPut' as const, value: put(i) } }]
  return new CallTemplate('/etcdserverpb.KV/Txn', TxnRequest.encode(TxnRequest.fromPartial({ success })).finish())
}

function keyOf(i: number): Buffer {
  return Buffer.from(`warm-up/${i}`)
}
