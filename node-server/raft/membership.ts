/**
 * From one configuration to the next (Raft §6, thesis §4). A change that makes no sense is refused, the same way on every
 * member: the caller applies `none` instead.
 */
import { unreachable } from '../../lib/assert.ts'
import type { MemberId } from '../../lib/ids.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { ConfigChange, ConfigChangeStep, Configuration } from './message.ts'

export const EMPTY_CONFIGURATION: Configuration = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
}

export function changeConfiguration(from: Configuration, change: ConfigChange): Result<Configuration, string> {
  const isJoint = from.votersOutgoing.length > 0
  switch (change.kind) {
    case 'none':
      return ok(from)
    case 'simple': {
      if (isJoint) return err('a simple change is not allowed in a joint configuration')
      return nonEmpty(applyStep({ ...from }, change.step))
    }
    case 'joint': {
      if (isJoint) return err('the configuration is joint already')
      if (from.voters.length === 0) return err('an empty configuration cannot become joint')
      const joint = change.steps.reduce(applyStep, { ...from, votersOutgoing: from.voters, autoLeave: true })
      return nonEmpty(joint)
    }
    case 'leave-joint':
      if (!isJoint) return err('the configuration is not joint')
      return ok({
        voters: from.voters,
        votersOutgoing: [],
        learners: sorted([...from.learners, ...from.learnersNext]),
        learnersNext: [],
        autoLeave: false,
      })
    default:
      return unreachable(change)
  }
}

function applyStep(from: Configuration, step: ConfigChangeStep): Configuration {
  const id = step.memberId
  const rest: Configuration = {
    ...from,
    voters: from.voters.filter((other) => other !== id),
    learners: from.learners.filter((other) => other !== id),
    learnersNext: from.learnersNext.filter((other) => other !== id),
  }
  switch (step.kind) {
    case 'add-voter':
      return { ...rest, voters: sorted([...rest.voters, id]) }
    case 'add-learner':
      // An outgoing voter still counts in the old half, so it becomes a learner only when the joint state is left.
      if (from.votersOutgoing.includes(id)) return { ...rest, learnersNext: sorted([...rest.learnersNext, id]) }
      return { ...rest, learners: sorted([...rest.learners, id]) }
    case 'remove':
      return rest
    default:
      return unreachable(step)
  }
}

function nonEmpty(configuration: Configuration): Result<Configuration, string> {
  return configuration.voters.length === 0 ? err('the change would leave no voter') : ok(configuration)
}

function sorted(ids: readonly MemberId[]): MemberId[] {
  return [...new Set(ids)].toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
}
