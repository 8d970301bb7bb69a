/** What is remembered of the upkeep of members' stores, and what of it is news. Pure. */
import type { DefragmentationRun, VolumeGrowth } from '../api/maintenance.ts'
import type { RaftClusterStatus } from '../api/status.ts'
import type { Observed } from './observed.ts'
import type { Plan } from './plan.ts'
import type { EventType } from './ports.ts'
import { defragmentationAfter } from './rules/defragment.ts'
import { noSpaceAfter } from './rules/reclaim.ts'
import { megabytes } from './rules/store-room.ts'

export interface News {
  readonly type: EventType
  readonly reason: string
  readonly action: string
  readonly message: string
}

/** With what the plan is about to do. */
export function upkeepAfter(observed: Observed, plan: Plan): Pick<RaftClusterStatus, 'maintenance'> {
  const defragmentation = defragmentationAfter(observed, plan)
  const noSpace = noSpaceAfter(observed, plan)
  if (defragmentation === undefined && noSpace === undefined) return {}
  return {
    maintenance: {
      ...(defragmentation !== undefined && { defragmentation }),
      ...(noSpace !== undefined && { noSpace }),
    },
  }
}

type Upkeep = Pick<RaftClusterStatus, 'maintenance' | 'volumeGrowth'>

export function upkeepNews(before: Upkeep, after: Upkeep): readonly News[] {
  const [was, is] = [before.maintenance, after.maintenance]
  const isNew =
    is?.noSpace !== undefined && is.noSpace.exhaustedAt !== undefined && was?.noSpace?.exhaustedAt === undefined
  const message = 'history was compacted and the stores defragmented, and there is still no space for writes'
  return [
    ...growthNews(before.volumeGrowth, after.volumeGrowth),
    ...runNews(was?.defragmentation?.run, is?.defragmentation?.run),
    ...(isNew ? [{ type: 'Warning', reason: 'NoSpaceLeft', action: 'Reclaim', message } as const] : []),
  ]
}

function growthNews(was: VolumeGrowth | undefined, is: VolumeGrowth | undefined): readonly News[] {
  if (is === undefined) return []
  const action = 'Grow'
  if (is.refusal !== undefined && was?.refusal === undefined)
    return [{ type: 'Warning', reason: 'VolumeGrowthRefused', action, message: `to ${is.size}: ${is.refusal}` }]
  if (is.size === was?.size) return []
  return [{ type: 'Normal', reason: 'GrowingVolumes', action, message: `volumes grow to ${is.size}` }]
}

const ENDINGS = {
  Succeeded: ['Normal', 'Defragmented'],
  Failed: ['Warning', 'DefragmentationFailed'],
  Incomplete: ['Warning', 'DefragmentationIncomplete'],
  Missed: ['Warning', 'DefragmentationMissed'],
} as const

function runNews(was: DefragmentationRun | undefined, is: DefragmentationRun | undefined): readonly News[] {
  if (is === undefined) return []
  const known = was?.scheduledAt === is.scheduledAt ? was : undefined
  const ended = is.members.filter(
    ({ id, freedBytes }) =>
      freedBytes !== undefined && known?.members.find((member) => member.id === id)?.freedBytes === undefined,
  )
  const action = 'Defragment'
  const members = ended.map(({ name, freedBytes = 0 }): News => {
    const message = `${name} has freed ${megabytes(freedBytes)}`
    return { type: 'Normal', reason: 'MemberDefragmented', action, message }
  })
  if (is.result === undefined || known?.result !== undefined) return members
  const [type, reason] = ENDINGS[is.result]
  return [...members, { type, reason, action, message: `${is.scheduledAt}: ${is.message}` }]
}
