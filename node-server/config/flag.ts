/**
 * What a flag is. Each stands in one of three classes:
 *
 *   implemented   neither `ignored` nor `refused`
 *   ignored       taken, with one warning that says why it changes nothing here; none when it is given its default
 *   refused       this member does not do what it asks, and doing without it unseen would be unsafe or something else than
 *                 asked: another value than the default ends the start
 */
export type ValueKind =
  | 'text'
  | 'path'
  | 'switch'
  | 'integer'
  | 'bytes'
  | 'ms'
  | 'years'
  | 'seconds'
  | 'duration'
  | 'urls'
  | 'list'
  | 'choice'

export interface Flag {
  readonly value: ValueKind
  /** What may be given, for a `choice` and for help. */
  readonly form?: string
  /** As it would be given; empty for none. */
  readonly fallback: string
  /** Other values that mean the same as the fallback, of flags that are ignored or refused. */
  readonly harmless?: readonly string[]
  readonly help: string
  readonly ignored?: string
  readonly refused?: string
}

export type FlagClass = 'implemented' | 'ignored' | 'refused'

export function classOf(flag: Flag): FlagClass {
  return flag.ignored !== undefined ? 'ignored' : flag.refused !== undefined ? 'refused' : 'implemented'
}
