/** What a member cannot truthfully say about itself: a broken one is not believed in anything. Pure. */
import type { AdminStatus } from '../../lib/admin-api.ts'

export function contradictionIn(status: AdminStatus): string | undefined {
  const { role, memberId, clusterId, voters, learners, configIndex, commitIndex, lastIndex } = status
  const { term, lastTerm = 0 } = status
  if (role === 'waiting') return memberId === '' && clusterId === '' ? undefined : 'it waits, and belongs to a cluster'
  if (memberId === '' || clusterId === '') return `it is a ${role} without a member ID or a cluster ID`
  if (configIndex > lastIndex) return `its configuration is of index ${configIndex}, its log ends at ${lastIndex}`
  if (commitIndex > lastIndex) return `it has committed up to ${commitIndex}, its log ends at ${lastIndex}`
  if (lastTerm > term) return `its log ends in term ${lastTerm}, it knows of no term after ${term}`
  const twice = [...voters, ...learners].find((id, index, all) => all.indexOf(id) !== index)
  if (twice !== undefined) return `member ${twice} is in its configuration twice`
  return undefined
}
