/**
 * Headers of responses, as bytes. Most responses are little more than their header, and all but two of its numbers never change.
 *
 *   0a size ‖ cluster_id (08 varint) ‖ member_id (10 varint) ‖ revision (18 varint) ‖ raft_term (20 varint), without those that are 0
 */
import type { NodePort } from '../../node/ports.ts'
import { ResponseHeader } from '../../proto/generated/etcd/rpc.ts'
import { MAX_VARINT_BYTES, writeNumberField } from '../../mvcc/wire.ts'

const WIRE_HEADER = 0x0a
const WIRE_REVISION = 0x18
const WIRE_TERM = 0x20
/** In a length of one byte: four numbers of at most eleven bytes are below it. */
const MAX_SIZE_BYTES = 4 * (1 + MAX_VARINT_BYTES)

/** Not the revision of the store but the one that is spoken of. */
export function headerAt(node: NodePort, revision: number): ResponseHeader {
  const { clusterId, memberId } = node
  return { clusterId, memberId, revision: BigInt(revision), raftTerm: BigInt(node.status().term) }
}

/** As the first field of a response. Keeps the last one: a revision is spoken of many times. */
export class HeaderBytes {
  readonly #node: NodePort
  #ids: Uint8Array | undefined
  #revision = -1
  #term = -1
  #bytes: Uint8Array = Buffer.alloc(0)

  constructor(node: NodePort) {
    this.#node = node
  }

  at(revision: number = this.#node.store.revision): Uint8Array {
    const { term } = this.#node.status()
    if (revision === this.#revision && term === this.#term) return this.#bytes
    this.#revision = revision
    this.#term = term
    return (this.#bytes = this.#encode(revision, term))
  }

  #encode(revision: number, term: number): Uint8Array {
    const { clusterId, memberId } = this.#node
    this.#ids ??= ResponseHeader.encode({ clusterId, memberId, revision: 0n, raftTerm: 0n }).finish()
    const bytes = Buffer.allocUnsafe(2 + MAX_SIZE_BYTES)
    bytes[0] = WIRE_HEADER
    bytes.set(this.#ids, 2)
    let end = writeNumberField(bytes, 2 + this.#ids.length, WIRE_REVISION, revision)
    end = writeNumberField(bytes, end, WIRE_TERM, term)
    bytes[1] = end - 2
    return bytes.subarray(0, end)
  }
}
