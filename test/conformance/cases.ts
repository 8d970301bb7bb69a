/** What kubectl, our operator and the sandbox's own controllers rely on, one behaviour a case. */
import type { Case } from './case.ts'
import { accessCases } from './cases/access.ts'
import { builtInCases } from './cases/built-in.ts'
import { controlLoopCases } from './cases/control-loops.ts'
import { customCases } from './cases/custom.ts'
import { listCases } from './cases/list.ts'
import { protocolCases } from './cases/protocol.ts'
import { protobufCases } from './cases/protobuf.ts'
import { writeCases } from './cases/write.ts'

export const CASES: readonly Case[] = [
  ...protocolCases,
  ...customCases,
  ...writeCases,
  ...protobufCases,
  ...listCases,
  ...builtInCases,
  ...accessCases,
  ...controlLoopCases,
]
