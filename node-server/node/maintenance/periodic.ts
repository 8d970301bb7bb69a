/** What a running member does for its store on its own: compactions and comparisons with its peers, by the clock. */
import type { Result } from '../../../lib/result.ts'
import { CompactionRequest } from '../../proto/generated/etcd/rpc.ts'
import { runAutoCompaction, type CompactorParts } from './auto-compaction.ts'
import { CorruptionChecks, type AskHash, type CheckedMember } from './corruption.ts'
import type { ApplyResult } from '../../mvcc/apply.ts'
import type { Store } from '../../mvcc/store.ts'
import type { NodeProblem } from '../ports.ts'

/** What it needs of the member. */
export interface MaintainedMember extends CheckedMember {
  readonly store: Store
  propose(kind: 'compact', request: Uint8Array): Promise<Result<ApplyResult, NodeProblem>>
}

export class PeriodicMaintenance {
  readonly #member: MaintainedMember
  readonly #checks: CorruptionChecks
  readonly #stopped = new AbortController()

  constructor(member: MaintainedMember, ask: AskHash) {
    this.#member = member
    this.#checks = new CorruptionChecks(member, ask)
  }

  /** Before clients are served; the error is for the user. */
  checkAtStart(): Promise<Result<void, string>> {
    return this.#checks.checkAtStart()
  }

  start(onFatal: (error: unknown) => void): void {
    const { signal } = this.#stopped
    const { autoCompaction } = this.#member.options.maintenance
    this.#checks.run(signal).catch(onFatal)
    if (autoCompaction !== undefined) runAutoCompaction(this.#compactor(), autoCompaction, signal).catch(onFatal)
  }

  stop(): void {
    this.#stopped.abort()
  }

  #compactor(): CompactorParts {
    const member = this.#member
    return {
      clock: member.options.clock,
      log: member.options.log,
      revision: () => member.store.revision,
      isLeader: () => member.isLeading,
      compact: async (revision) => {
        const request = CompactionRequest.encode({ revision: BigInt(revision), physical: false }).finish()
        const answer = await member.propose('compact', request)
        if (!answer.ok) return answer.error
        return answer.value.ok || answer.value.error.kind === 'compacted' ? undefined : answer.value.error.kind
      },
    }
  }
}
