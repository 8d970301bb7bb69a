/** What a row of the table is made of. A scenario is one file in `scenarios/`, listed in `scenarios.ts`. */
import type { Cluster, Setup } from './cluster.ts'

export type Bound =
  /** Shown, and not judged. */
  | { readonly kind: 'none' }
  | { readonly kind: 'at-most'; readonly most: number }
  /**
   * That many times the figure it is held against: etcd's, or another one of ours by its name. What is no more than
   * `always` is within the bound whatever the other figure is: below it, chance decides.
   */
  | { readonly kind: 'times'; readonly times: number; readonly of: string; readonly always: number }

export interface Measure {
  readonly what: string
  readonly unit: 's' | 'ms' | 'MB' | ''
  readonly bound: Bound
}

export type Figures = Readonly<Record<string, number>>

/** A count of the full size, scaled by what was asked for. */
export type Sizing = (full: number, least?: number) => number

export interface Scenario<Name extends string = string> extends Setup {
  /** Kebab case: what `--only` looks at. */
  readonly name: string
  readonly what: (size: Sizing) => string
  /** Left out of the quick form unless it is asked for: much like another one, or long whatever the scale. */
  readonly isVariant?: true
  /** None without it. Where a leader is ended on purpose, room for votes that are split. */
  readonly mostElections?: number
  readonly measures: Readonly<Record<Name, Measure>>
  /** On a new cluster. A figure that was not reached in time is `Infinity`. */
  readonly run: (cluster: Cluster, size: Sizing) => Promise<Readonly<Record<Name, number>>>
}

export type Outcome =
  /** Those of the scenario, and `elections`. */
  | { readonly kind: 'figures'; readonly figures: Figures }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'not-asked' }

export const SHOWN: Bound = { kind: 'none' }
export const NONE: Bound = { kind: 'at-most', most: 0 }

export const timesEtcd = (times: number, always: number): Bound => ({ kind: 'times', times, of: 'etcd', always })
