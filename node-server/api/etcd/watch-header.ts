/** Headers of what a watch is told. */
import type { NodePort } from '../../node/ports.ts'
import type { ResponseHeader } from '../../proto/generated/etcd/rpc.ts'
import { encodeHeader } from './watch-message.ts'

/** Not the revision of the store but the one that is spoken of. */
export function headerAt(node: NodePort, revision: number): ResponseHeader {
  const { clusterId, memberId } = node
  return { clusterId, memberId, revision: BigInt(revision), raftTerm: BigInt(node.status().term) }
}

/** Keeps the last one: a revision goes to many watches. */
export class HeaderBytes {
  readonly #node: NodePort
  #revision = -1
  #term = -1
  #bytes: Uint8Array = Buffer.alloc(0)

  constructor(node: NodePort) {
    this.#node = node
  }

  at(revision: number): Uint8Array {
    const { term } = this.#node.status()
    if (revision === this.#revision && term === this.#term) return this.#bytes
    this.#revision = revision
    this.#term = term
    return (this.#bytes = encodeHeader(headerAt(this.#node, revision)))
  }
}
