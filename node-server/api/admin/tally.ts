/**
 * Figures that change with every call, as plain numbers: prom-client looks labels up, checks and hashes them each time, which
 * was a tenth of what a put allocated. It is told of them when it is scraped.
 */
import { Histogram } from 'prom-client'

/** Counted since the last scrape. */
export class Tally {
  readonly #counter: { inc(by: number): void }
  #count = 0

  constructor(counter: { inc(by: number): void }) {
    this.#counter = counter
  }

  add(count = 1): void {
    this.#count += count
  }

  /** Before each scrape. A series begins with its first count. */
  flush(): void {
    if (this.#count > 0) this.#counter.inc(this.#count)
    this.#count = 0
  }
}

/** prom-client's default. */
const SECONDS_BUCKETS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Of one series of a histogram. */
export class DurationTally {
  /** Of each bound, and beyond the last one: how many were at most that, and not at most the one before. */
  readonly counts = Array.from({ length: SECONDS_BUCKETS.length + 1 }, () => 0)
  sum = 0

  add(seconds: number): void {
    let bucket = 0
    while (seconds > (SECONDS_BUCKETS[bucket] ?? Infinity)) bucket += 1
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
    this.sum += seconds
  }
}

type Labels = Readonly<Record<string, string>>

interface Value {
  readonly metricName: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

/** Durations whose series are tallies: nothing is observed by other means. */
export class TalliedHistogram extends Histogram {
  readonly #head: { readonly name: string; readonly help: string }
  readonly #series: { readonly labels: Labels; readonly tally: DurationTally }[] = []

  constructor(configuration: ConstructorParameters<typeof Histogram>[0]) {
    super({ ...configuration, buckets: [...SECONDS_BUCKETS] })
    this.#head = configuration
  }

  /** A series is there once it has something to tell. */
  tally(labels: Labels): DurationTally {
    const tally = new DurationTally()
    this.#series.push({ labels, tally })
    return tally
  }

  /** By this prom-client asks its metrics for what a scrape is told of them. */
  getForPromString(): Promise<object> {
    const { name, help } = this.#head
    const values = this.#series.flatMap(({ labels, tally }) => valuesOf(name, labels, tally))
    return Promise.resolve({ name, help, type: 'histogram', aggregator: 'sum', values })
  }
}

function valuesOf(name: string, labels: Labels, { counts, sum }: DurationTally): readonly Value[] {
  let count = 0
  const buckets = counts.map((inBucket, i): Value => {
    count += inBucket
    return { metricName: `${name}_bucket`, labels: { le: SECONDS_BUCKETS[i] ?? '+Inf', ...labels }, value: count }
  })
  if (count === 0) return []
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ]
}
