import type { Stage } from './stage.ts'
import { calm } from './stages/calm.ts'
import { compaction } from './stages/compaction.ts'
import { fresh } from './stages/fresh.ts'
import { gaps } from './stages/gaps.ts'
import { idle } from './stages/idle.ts'
import { large } from './stages/large.ts'
import { loads, tlsLoads } from './stages/loads.ts'
import { streams } from './stages/streams.ts'

export const STAGES: readonly Stage[] = [fresh, loads, tlsLoads, streams, compaction, large, idle, gaps, calm]
