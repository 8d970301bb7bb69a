/** What is measured: stages, each on members of its own, and the loads and figures in each. A stage is one file in `stages/`. */
import type { Cluster, Setup } from '../test/limits/cluster.ts'
import type { Tools } from './tool.ts'

/** A count of the full size, scaled by what was asked for. */
export type Sizing = (full: number, least?: number) => number

/** Ours through etcd's: bounds that the median is to keep. */
export interface Goal {
  readonly atLeast?: number
  readonly atMost?: number
}

/** Of the rate of another load, which is chosen along with this one, it is to keep so much: ours of ours. */
export interface Kept {
  readonly of: string
  readonly what: string
  readonly atLeast: number
}

/** Requests at full speed by etcd's benchmark or our load program: a line of the table with all that is known of them. */
export interface Load {
  readonly kind: 'load'
  /** Kebab case: what `--only` looks at. */
  readonly name: string
  readonly what: string
  readonly program: keyof Tools
  /** Its command and what is special about this load. */
  readonly args: readonly string[]
  /** Requests, at the full size. */
  readonly total: number
  /** By default 1,000 on 100. */
  readonly clients?: number
  readonly connections?: number
  /** The leader by default. */
  readonly to?: 'all'
  /** For programs that do not count what is reported: how many of it one of their `--total` makes. */
  readonly reportsForEach?: number
  readonly rate?: Goal
  readonly p50?: Goal
  readonly p99?: Goal
  readonly keeps?: Kept
  /** What comes after it in the stage stands on it: it runs although it was not asked for. */
  readonly isFoundation?: true
}

export interface Measure {
  readonly what: string
  readonly unit: 's' | 'ms' | 'MB' | '%' | ''
  readonly goal?: Goal
}

/** Figures of their own, each a line of the other table. */
export interface Look<Name extends string = string> {
  readonly kind: 'look'
  readonly name: string
  readonly measures: Readonly<Record<Name, Measure>>
  readonly run: (place: Place) => Promise<Readonly<Record<Name, number>>>
  readonly isFoundation?: true
  /** Takes very long: only when it is named. */
  readonly isExtra?: true
}

/** Where a step runs. */
export interface Place {
  readonly cluster: Cluster
  readonly tools: Tools
  readonly size: Sizing
}

export type Step = Load | Look

export interface Stage extends Setup {
  readonly name: string
  /** Leaders are ended on purpose: elsewhere figures of a round with an election are none. */
  readonly endsLeaders?: true
  /** In this order, on the same members. */
  readonly steps: readonly Step[]
}

/** Of one step in one round with one server, by name; NaN for what that server cannot tell. */
export type Figures = Readonly<Record<string, number>>

/** For what is asked of {@link Look}s of different names in one list. */
export const look = <Name extends string>(own: Omit<Look<Name>, 'kind'>): Look<Name> => ({ kind: 'look', ...own })
