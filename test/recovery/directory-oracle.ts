/** What a start does with a directory, as docs/recovery.md says it: the first row that applies. */
import type { Combination } from './directory-parts.ts'

export type Decision = 'waits' | 'runs' | 'runs without its store' | 'installs the snapshot' | 'refuses'

export interface Rule {
  readonly when: (found: Combination) => boolean
  readonly decision: Decision
  /** Of a refusal. */
  readonly words?: RegExp
}

const ADVICE = 'remove the member from the cluster and add it again with an empty directory'
const refusal = (words: string): RegExp => new RegExp(`${words}.*${ADVICE}`, 's')
const isOneOf =
  <Value>(...values: readonly Value[]) =>
  (value: Value): boolean =>
    values.includes(value)

const isDamaged = isOneOf<Combination['wal']>('damaged in the middle', 'damaged at its end', 'first segment missing')
const isForeign = isOneOf<Combination['wal']>('of another member', 'of another directory')
const isUnreadable = isOneOf<Combination['store']>(
  'no store',
  'older beside a damaged newer',
  'damaged after it was replaced',
  'put aside',
)
const lacksStore = isOneOf<Combination['store']>(
  'missing',
  'before the base',
  'no store',
  'older beside a damaged newer',
  'damaged after it was replaced',
  'put aside',
)
const isRestoring = isOneOf<Combination['leftOver']>('restoring', 'both')

export const RULES: readonly Rule[] = [
  {
    when: ({ identity, leftOver }) => identity === 'missing' && isRestoring(leftOver),
    decision: 'refuses',
    words: /a snapshot was being restored into .* and the restore did not end: run it again, or empty the directory/,
  },
  {
    when: ({ identity, wal, store, snapshot }) =>
      identity === 'missing' && wal === 'missing' && store === 'missing' && snapshot === 'none',
    decision: 'waits',
  },
  {
    when: ({ identity }) => identity === 'missing',
    decision: 'refuses',
    words: refusal('identity\\.json is missing, but there is data beside it .* restore the file, or '),
  },
  {
    when: ({ identity }) => identity === 'unreadable',
    decision: 'refuses',
    words: refusal('identity\\.json cannot be read .* restore the file, or '),
  },
  {
    when: ({ identity }) => identity === 'removed',
    decision: 'refuses',
    words: /a member that its cluster has removed: use an empty directory, and add the member again/,
  },
  { when: ({ wal }) => wal === 'missing', decision: 'refuses', words: refusal('there is no log in') },
  { when: ({ wal }) => isDamaged(wal), decision: 'refuses', words: refusal('the log is damaged in') },
  {
    when: ({ wal, identity }) => isForeign(wal) || identity === 'of another member',
    decision: 'refuses',
    words: refusal('is that of another member or directory: .* put them back where they belong, or '),
  },
  {
    when: ({ hardState }) => hardState === 'ahead of the entries',
    decision: 'refuses',
    words: refusal('the entries up to 35 are committed, but it ends at 30'),
  },
  {
    when: ({ hardState }) => hardState === 'of an earlier term',
    decision: 'refuses',
    words: refusal('the log has entry 30 of term 4, but knows of no term after 3'),
  },
  { when: ({ store, snapshot }) => lacksStore(store) && snapshot === 'whole', decision: 'installs the snapshot' },
  { when: ({ store }) => isUnreadable(store), decision: 'runs without its store' },
  { when: ({ store }) => store === 'missing', decision: 'refuses', words: refusal('the store is missing') },
  {
    when: ({ store }) => store === 'before the base',
    decision: 'refuses',
    words: refusal('the store ends at entry 10, and the log begins only behind entry 20'),
  },
  {
    when: ({ store }) => store === 'ahead of the log',
    decision: 'refuses',
    words: refusal('the store has entry 33, but the log ends at 30'),
  },
  {
    when: ({ store }) => store === 'of another log',
    decision: 'refuses',
    words: refusal('the store has another entry 25 than the log'),
  },
  { when: () => true, decision: 'runs' },
]
