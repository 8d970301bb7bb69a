/**
 * Lease IDs for grants without one. No two members and no two processes of one member choose the same, as far as their
 * clocks can tell, by etcd's rule: member (15 bits) ‖ milliseconds at the start of the process (40) ‖ count (8), counted
 * on through the milliseconds; positive as a signed number.
 */
import type { MemberId } from '../../../lib/ids.ts'

const SUFFIX_BITS = 48n

export function newLeaseIds(memberId: MemberId, wallMs: number): () => bigint {
  const prefix = BigInt.asUintN(15, memberId) << SUFFIX_BITS
  let suffix = BigInt.asUintN(40, BigInt(Math.floor(wallMs))) << 8n
  return () => {
    suffix = BigInt.asUintN(Number(SUFFIX_BITS), suffix + 1n)
    return prefix | suffix
  }
}
