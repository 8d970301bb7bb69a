/** What lease requests need beside a plain call. */
import type { ServiceError } from '@grpc/grpc-js'
import { LEASE_KEEP_ALIVE } from './methods.ts'
import type { Side } from './side.ts'
import { treeOf, type Tree } from './tree.ts'
import type { Twin } from './twin.ts'

const ANSWER_TIMEOUT_MS = 5000
/** What a lease has left depends on when it is asked; 100 s is far more than a run takes. */
const TTL_STEP_SECONDS = 100n

/** Opens a stream, renews once, takes the one answer and hangs up. */
export async function keepAlive(twin: Twin, ID: bigint): Promise<void> {
  const { etcd, ours } = twin.servers
  const [theirs, own] = await Promise.all([renew(twin, etcd, ID), renew(twin, ours, ID)])
  twin.note(LEASE_KEEP_ALIVE.path, treeOf({ ID }), theirs, own)
}

function renew(twin: Twin, side: Side, ID: bigint): Promise<Tree> {
  const call = side.duplex(LEASE_KEEP_ALIVE.path, twin.headersOf(side))
  return new Promise((resolve) => {
    const answer = (tree: Tree): void => {
      clearTimeout(timer)
      resolve(tree)
      call.cancel()
    }
    const timer = setTimeout(() => answer('no answer in time'), ANSWER_TIMEOUT_MS)
    call.on('data', (bytes: Buffer) => answer(treeOf(LEASE_KEEP_ALIVE.response.decode(bytes))))
    call.on('error', (error: ServiceError) => answer({ code: error.code, text: error.details }))
    call.on('end', () => answer('the stream ended'))
    call.write(Buffer.from(LEASE_KEEP_ALIVE.request.encode({ ID }).finish()))
  })
}

/** The TTL that is left, rounded up; the granted one stays as it is. */
export function withRoundedTtl(answer: Tree): Tree {
  if (typeof answer !== 'object' || !('TTL' in answer) || typeof answer['TTL'] !== 'string') return answer
  const seconds = BigInt(answer['TTL'].slice(0, -1))
  if (seconds <= 0n) return answer
  const keys = Array.isArray(answer['keys'])
    ? answer['keys'].map((key) => JSON.stringify(key)).toSorted((a, b) => (a < b ? -1 : 1))
    : [] // etcd names them in the order of a map
  const steps = (seconds + TTL_STEP_SECONDS - 1n) / TTL_STEP_SECONDS
  return { ...answer, keys, TTL: `up to ${steps * TTL_STEP_SECONDS}` }
}
