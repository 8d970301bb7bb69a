/** /metrics, in Prometheus's text format. */
import type { HttpResponse } from '../../../lib/http-exchange.ts'

export interface MetricsPage {
  readonly contentType: string
  text(): Promise<string>
}

export async function sendMetrics(response: HttpResponse, page: MetricsPage): Promise<void> {
  const text = await page.text()
  response.setHeader('Content-Type', page.contentType)
  response.end(text)
}
