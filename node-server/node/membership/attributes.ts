/** A member tells the cluster its name and where its clients, and where the other members, find it. Source: etcd's publishV3. */
import { NOBODY, type MemberId } from '../../../lib/ids.ts'
import type { Result } from '../../../lib/result.ts'
import type { Member } from '../../mvcc/command.ts'
import { getMember, listMembers } from '../../mvcc/members.ts'
import type { Store } from '../../mvcc/store.ts'
import type { NodeOptions } from '../options.ts'

/** What it needs of the member. */
export interface AttributesHost {
  readonly options: Pick<NodeOptions, 'name' | 'clientURLs' | 'peerURLs' | 'log'>
  readonly memberId: MemberId
  readonly leader: MemberId
  readonly store: Store
  readonly commands: { updateAttributes(member: Member): Promise<Result<void, unknown>> }
}

export class Attributes {
  readonly #host: AttributesHost
  /** Until the cluster knows them. What somebody changes after that (MemberUpdate) stays, to the next start. */
  #peerURLs: readonly string[] | undefined

  constructor(host: AttributesHost) {
    this.#host = host
    this.#peerURLs = host.options.peerURLs
  }

  /** True once what the cluster knows, as far as it is applied here, is right. Proposes nothing while there is no leader. */
  async publish(): Promise<boolean> {
    const { options, store, memberId, leader, commands } = this.#host
    const { name, clientURLs } = options
    const known = getMember(store, memberId)
    if (known === undefined || leader === NOBODY) return false
    const peerURLs = this.#newPeerURLs(known)
    if (peerURLs.length === 0 && known.name === name && areSame(known.clientURLs, clientURLs)) return true
    return (await commands.updateAttributes({ ...known, name, clientURLs, peerURLs })).ok
  }

  /** Empty when the cluster knows them, or must not: that is asked again when it is applied. */
  #newPeerURLs(known: Member): readonly string[] {
    const peerURLs = this.#peerURLs
    if (peerURLs === undefined) return []
    if (!areSame(known.peerURLs.toSorted(), peerURLs.toSorted())) {
      const owner = listMembers(this.#host.store).find(
        ({ id, peerURLs: taken }) => id !== known.id && taken.some((url) => peerURLs.includes(url)),
      )
      if (owner === undefined) return peerURLs
      const fields = { peerURLs, owner: owner.name, known: known.peerURLs }
      this.#host.options.log.warn(
        fields,
        'another member has the peer URLs of this one: the cluster keeps those that it knows',
      )
    }
    this.#peerURLs = undefined
    return []
  }
}

function areSame(a: readonly string[], b: readonly string[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
