/** What a running member does for its store on its own: compactions and comparisons with its peers, by the clock. */
import type { Result } from '../../../lib/result.ts'
import { CompactionRequest } from '../../proto/generated/etcd/rpc.ts'
import { runAutoCompaction, type CompactorParts } from './auto-compaction.ts'
import { CorruptionChecks, type AskHash } from './corruption.ts'
import type { Node } from '../replica/node.ts'

export class Upkeep {
  readonly #node: Node
  readonly #checks: CorruptionChecks
  readonly #stopped = new AbortController()

  constructor(node: Node, ask: AskHash) {
    this.#node = node
    this.#checks = new CorruptionChecks(node, ask)
  }

  /** Before clients are served; the error is for the user. */
  checkAtStart(): Promise<Result<void, string>> {
    return this.#checks.checkAtStart()
  }

  start(onFatal: (error: unknown) => void): void {
    const { signal } = this.#stopped
    const { autoCompaction } = this.#node.options.maintenance
    this.#checks.run(signal).catch(onFatal)
    if (autoCompaction !== undefined) runAutoCompaction(this.#compactor(), autoCompaction, signal).catch(onFatal)
  }

  stop(): void {
    this.#stopped.abort()
  }

  #compactor(): CompactorParts {
    const node = this.#node
    return {
      clock: node.options.clock,
      log: node.options.log,
      revision: () => node.store.revision,
      isLeader: () => node.raftStatus().role === 'leader',
      compact: async (revision) => {
        const request = CompactionRequest.encode({ revision: BigInt(revision), physical: false }).finish()
        const answer = await node.propose('compact', request)
        if (!answer.ok) return answer.error
        return answer.value.ok || answer.value.error.kind === 'compacted' ? undefined : answer.value.error.kind
      },
    }
  }
}
