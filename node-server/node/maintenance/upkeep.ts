/**
 * Requests of the operator through the admin API when the store is short of space, or has much free space: compact, defragment, disarm.
 * Fenced by the configuration that they were decided on. A repeat does no harm and gets the first answer: what is compacted or
 * disarmed stays so, and a defragmentation is known by its operation for as long as the member runs.
 *
 * A defragmentation may take longer than a request: it is only started, and the status reports its progress.
 */
import type {
  AdminDefragmentation,
  AdminError,
  AdminStore,
  AdminUpkeep,
  UpkeepRequest,
} from '../../../lib/admin-api.ts'
import { unreachable } from '../../../lib/assert.ts'
import { formatId, parseId } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { ApplyResult } from '../../mvcc/apply.ts'
import { describeStoreError } from '../../mvcc/errors.ts'
import type { Store } from '../../mvcc/store.ts'
import {
  AlarmRequest,
  AlarmRequest_AlarmAction as AlarmAction,
  AlarmType,
  CompactionRequest,
} from '../../proto/generated/etcd/rpc.ts'
import type { VolumeSpace } from '../../storage/volume.ts'
import type { NodeProblem } from '../ports.ts'

/** What it needs of the member. */
export interface KeptMember {
  readonly memberId: bigint
  readonly store: Store
  readonly quota: { readonly limitBytes: number; readonly sizeBytes: number }
  readonly room: { readonly space: VolumeSpace; readonly writableBytes: number }
  readonly files: { defragment(): Promise<void> }
  raftStatus(): { readonly configIndex: number }
  propose(kind: 'compact' | 'alarm', request: Uint8Array): Promise<Result<ApplyResult, NodeProblem>>
}

type Answer = Result<AdminUpkeep, AdminError>

/** Of the message of a failure. */
const MAX_MESSAGE_LENGTH = 256

export class Upkeep {
  readonly #member: KeptMember
  #defragmentation: AdminDefragmentation | undefined

  constructor(member: KeptMember) {
    this.#member = member
  }

  report(): AdminStore {
    const { store, quota, room } = this.#member
    const { limitBytes, sizeBytes } = quota
    // What waits for its commit counts as used.
    const inUseBytes = Math.min(sizeBytes, store.size().inUseBytes + store.buffer.sizeBytes)
    return {
      sizeBytes,
      inUseBytes,
      compactedRevision: Math.max(0, store.compactedRevision),
      ...(limitBytes !== Infinity && { quotaBytes: limitBytes }),
      volumeBytes: room.space.totalBytes,
      volumeFreeBytes: room.space.freeBytes,
      writableBytes: Math.floor(room.writableBytes),
      ...(this.#defragmentation !== undefined && { defragmentation: this.#defragmentation }),
    }
  }

  async ask(request: UpkeepRequest): Promise<Answer> {
    const { configIndex } = this.#member.raftStatus()
    if (request.expectedConfigIndex !== configIndex)
      return err({ code: 'ConfigIndexStale', message: `the configuration in force is ${configIndex}`, configIndex })
    switch (request.kind) {
      case 'defragment':
        return this.#defragment(request)
      case 'compact': {
        const compaction = { revision: BigInt(request.revision), physical: false }
        const answer = await this.#member.propose('compact', CompactionRequest.encode(compaction).finish())
        if (answer.ok && !answer.value.ok && answer.value.error.kind === 'compacted') return done(request)
        return answerOf(request, answer)
      }
      case 'disarm': {
        const memberID = parseId(request.memberId) ?? 0n
        const alarm = { action: AlarmAction.DEACTIVATE, memberID, alarm: AlarmType.NOSPACE }
        return answerOf(request, await this.#member.propose('alarm', AlarmRequest.encode(alarm).finish()))
      }
      default:
        return unreachable(request)
    }
  }

  #defragment(request: Extract<UpkeepRequest, { kind: 'defragment' }>): Answer {
    const { operationId, memberId } = request
    const own = formatId(this.#member.memberId)
    if (memberId !== own) return err({ code: 'Conflict', message: `this is member ${own}` })
    const last = this.#defragmentation
    if (last?.operationId === operationId) return done(request)
    if (last?.state === 'running')
      return err({ code: 'ChangeInFlight', message: `the defragmentation ${last.operationId} is under way` })
    this.#defragmentation = { operationId, state: 'running', message: '' }
    const ended = (state: 'done' | 'failed', message: string): void =>
      void (this.#defragmentation = { operationId, state, message: message.slice(0, MAX_MESSAGE_LENGTH) })
    this.#member.files.defragment().then(
      () => ended('done', ''),
      // Most likely a full disk: the store goes on as before, and the caller gets the error.
      (error: unknown) => ended('failed', error instanceof Error ? error.message : String(error)),
    )
    return done(request)
  }
}

function done({ operationId }: UpkeepRequest): Answer {
  return ok({ operationId })
}

function answerOf(request: UpkeepRequest, answer: Result<ApplyResult, NodeProblem>): Answer {
  if (!answer.ok) {
    const code = answer.error === 'no-leader' || answer.error === 'not-proposed' ? 'NoLeader' : 'Timeout'
    return err({ code, message: `${request.kind}: ${answer.error}` })
  }
  if (answer.value.ok) return done(request)
  return err({ code: 'Conflict', message: `${request.kind}: ${describeStoreError(answer.value.error)}` })
}
