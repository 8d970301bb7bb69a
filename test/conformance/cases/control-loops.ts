/** What the control loops do that our operator counts on. */
import type { Case } from '../case.ts'
import { budgetCases } from './loops/budgets.ts'
import { endpointCases } from './loops/endpoints.ts'
import { garbageCases } from './loops/garbage.ts'
import { statefulSetCases } from './loops/stateful-sets.ts'

export const controlLoopCases: readonly Case[] = [
  ...statefulSetCases,
  ...garbageCases,
  ...budgetCases,
  ...endpointCases,
].map((each) => ({ ...each, withControllers: true }))
