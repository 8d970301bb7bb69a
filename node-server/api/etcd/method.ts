/** What all unary methods have in common: decode, refuse what this member cannot serve now, hand over. */
import type { BinaryReader } from '@bufbuild/protobuf/wire'
import { NOBODY } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { CallContext, Method, RpcStatus, RpcStream } from '../../grpc/service.ts'
import type { AuthInfo } from '../../mvcc/auth/state.ts'
import { StoreDamaged } from '../../mvcc/backend.ts'
import { isTooDeep, RequestReader } from '../../mvcc/request-reader.ts'
import type { NodePort } from '../../node/ports.ts'
import { damagedStatus, statusOf } from './errors.ts'
import type { Access, Gate, Identified } from './gate.ts'
import type { LeaderMonitor } from './leader-monitor.ts'

export interface MessageType<Message> {
  decode(reader: BinaryReader): Message
  /** The same of what most clients send, without a reader; undefined: this is something else. */
  plain?(bytes: Uint8Array): Message | undefined
}

export type Answer = Result<Uint8Array, RpcStatus>

export interface Call {
  /** As the client sent it. */
  readonly bytes: Uint8Array
  readonly context: CallContext
  /** Who the gate has let in: of methods that are for who is known, or for admins. */
  readonly authInfo: AuthInfo | undefined
}

export interface UnaryOptions<Message> {
  /** Whether a learner may answer this; by default it may not (etcd: learners serve what needs no vote). */
  readonly isForLearners?: (message: Message) => boolean
  /** It reads nothing of the store, so a member whose store is damaged answers it too. */
  readonly isForDamaged?: true
}

/** Why this member takes no such call now. */
export function refusal(node: NodePort, context: CallContext, isForLearners = false): RpcStatus | undefined {
  const { isStopped, damage, isLearner, leader } = node.status()
  if (isStopped) return statusOf('stopped')
  if (damage !== undefined) return damagedStatus(damage)
  if (isLearner && !isForLearners) return statusOf('not-supported-for-learner')
  return leader === NOBODY && context.metadata('hasleader') === 'true' ? statusOf('no-leader') : undefined
}

export function unary<Message>(
  gate: Gate,
  access: Access,
  type: MessageType<Message>,
  handle: (message: Message, call: Call) => Answer | Promise<Answer>,
  options: UnaryOptions<Message> = {},
): Method {
  return {
    kind: 'unary',
    handle: (bytes, context) => {
      const message = decode(type, bytes)
      if (!message.ok) return message
      const refused = refusal(gate.node, context, options.isForLearners?.(message.value))
      const isAnswered =
        refused === undefined || (options.isForDamaged === true && gate.node.status().damage !== undefined)
      if (!isAnswered) return err(refused)
      const answer = (admitted: Identified): Answer | Promise<Answer> =>
        admitted.ok
          ? unlessDamaged(() => handle(message.value, { bytes, context, authInfo: admitted.value }))
          : admitted
      const admitted = gate.admit(access, context)
      return admitted instanceof Promise ? admitted.then(answer) : answer(admitted)
    },
  }
}

/** The request itself may be what finds the store damaged. */
function unlessDamaged(handle: () => Answer | Promise<Answer>): Answer | Promise<Answer> {
  const refused = (error: unknown): Answer => {
    if (error instanceof StoreDamaged) return err(damagedStatus(error.where))
    throw error
  }
  try {
    const answer = handle()
    return answer instanceof Promise ? answer.catch(refused) : answer
  } catch (error) {
    return refused(error)
  }
}

/**
 * As {@link unary} for a stream: no learner answers one. It ends when the client has gone or the server stops, and for a
 * client that asked for a leader when there has been none for too long; `signal` tells the handler of all three.
 */
export function stream(
  gate: Gate,
  access: Access,
  monitor: LeaderMonitor,
  handle: (stream: RpcStream, signal: AbortSignal, context: CallContext) => Promise<RpcStatus | undefined>,
): Method {
  return {
    kind: 'stream',
    handle: async (calls, context) => {
      const refused = refusal(gate.node, context)
      if (refused !== undefined) return refused
      const admitted = await gate.admit(access, context)
      if (!admitted.ok) return admitted.error
      if (context.metadata('hasleader') !== 'true')
        return Promise.race([handle(calls, context.signal, context), aborted(context.signal)])
      const lost = new AbortController()
      const endLeaderWait = monitor.onLost(() => lost.abort())
      try {
        const signal = AbortSignal.any([context.signal, lost.signal])
        const ended = await Promise.race([handle(calls, signal, context), aborted(signal)])
        return lost.signal.aborted ? statusOf('no-leader') : ended
      } finally {
        endLeaderWait()
      }
    },
  }
}

export function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    else signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
}

/** What grpc-go tells for bytes that are not a message, whatever is wrong with them. */
const MALFORMED = err<RpcStatus>({
  code: 'Internal',
  message: 'grpc: error unmarshalling request: proto: cannot parse invalid wire-format data',
})

/** The same of a message on a stream. */
export const MALFORMED_ON_STREAM: RpcStatus = {
  code: 'Internal',
  message: 'grpc: failed to unmarshal the received message: proto: cannot parse invalid wire-format data',
}

/** What Go's protobuf calls it, with a limit of its own. */
const TOO_DEEP = err<RpcStatus>({
  code: 'Internal',
  message: 'grpc: error unmarshalling request: proto: exceeded maximum recursion depth',
})

export function decode<Message>(type: MessageType<Message>, bytes: Uint8Array): Result<Message, RpcStatus> {
  const plain = type.plain?.(bytes)
  if (plain !== undefined) return ok(plain)
  try {
    const reader = new RequestReader(bytes)
    const message = type.decode(reader)
    return reader.pos === reader.len ? ok(message) : MALFORMED
  } catch (error) {
    return isTooDeep(error) ? TOO_DEEP : MALFORMED
  }
}
