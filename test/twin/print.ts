/** How exchanges are printed: requests in the order in which they were sent, and where the answers part. */
import { show } from './tree.ts'
import type { Exchange } from './twin.ts'

const MOST_SHOWN = 12

/** One line for each exchange; those that differ with both answers and each field. */
export function printed(exchanges: readonly Exchange[]): string {
  return exchanges.map((exchange, i) => `  ${String(i + 1).padStart(3)}. ${printedExchange(exchange)}`).join('\n')
}

export function printedExchange({ path, request, etcd, ours, found }: Exchange): string {
  const [, method = path] = path.split('/').slice(1)
  const line = `${method} ${show(request)}`
  const differences = found.filter(({ allowed }) => allowed === undefined)
  if (differences.length === 0) return `${line}\n       both: ${show(etcd)}`
  const fields = differences
    .slice(0, MOST_SHOWN)
    .map(
      ({ field, etcd, ours }) => `         ${field === '' ? 'answer' : field}: etcd ${show(etcd)}, ours ${show(ours)}`,
    )
  const rest = differences.length > MOST_SHOWN ? [`         and ${differences.length - MOST_SHOWN} more`] : []
  return [line, `  >>   etcd: ${show(etcd)}`, `  >>   ours: ${show(ours)}`, ...fields, ...rest].join('\n')
}
