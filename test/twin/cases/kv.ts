import { PUT, RANGE } from '../methods.ts'
import { b, EVERYTHING, type Case } from './case.ts'

export const KV_CASES: readonly Case[] = [
  {
    name: 'kv: a new store',
    needsNewServers: true,
    run: async (twin) => {
      await twin.call(RANGE, EVERYTHING)
      await twin.call(PUT, { key: b('a'), value: b('1'), prevKv: true })
      await twin.call(PUT, { key: b('a'), value: b('2'), prevKv: true })
    },
  },
]
