/** A member tells the cluster its name and where its clients find it. Source: etcd's publishV3. */
import { NOBODY, type MemberId } from '../../../lib/ids.ts'
import type { Result } from '../../../lib/result.ts'
import type { Member } from '../../mvcc/command.ts'
import { getMember } from '../../mvcc/members.ts'
import type { Store } from '../../mvcc/store.ts'
import type { NodeOptions } from '../options.ts'

/** The member behind it. */
export interface Publisher {
  readonly options: Pick<NodeOptions, 'name' | 'clientURLs'>
  readonly memberId: MemberId
  readonly leader: MemberId
  readonly store: Store
  readonly commands: { updateAttributes(member: Member): Promise<Result<void, unknown>> }
}

/** True once what the cluster knows, as far as it is applied here, is right. Proposes nothing while there is no leader. */
export async function publishAttributes(self: Publisher): Promise<boolean> {
  const { name, clientURLs } = self.options
  const known = getMember(self.store, self.memberId)
  if (known === undefined || self.leader === NOBODY) return false
  if (known.name === name && JSON.stringify(known.clientURLs) === JSON.stringify(clientURLs)) return true
  return (await self.commands.updateAttributes({ ...known, name, clientURLs, peerURLs: [] })).ok
}
