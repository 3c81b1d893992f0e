import {
  type Context,
  defaultTextMapGetter,
  defaultTextMapSetter,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { hrTime, hrTimeDuration, W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { CodedError } from '../../errors.ts';
import { withoutSecrets } from '../../secrets.ts';
import { runSpanId } from './run-span.ts';
import { currentScope, inScope } from './scope.ts';
import type { Attributes, Carrier, Tracing } from './spans.ts';

const KINDS = { client: SpanKind.CLIENT, server: SpanKind.SERVER, internal: SpanKind.INTERNAL };
const propagator = new W3CTraceContextPropagator();
/** Commands do not wait longer than this for a collector that does not respond. */
const CLOSE_TIMEOUT_MS = 3_000;

/**
 * Traces with OpenTelemetry's SDK and sends them by OTLP. The standard variables set the endpoint, headers, timeout, compression, resource
 * attributes and OTEL_TRACES_SAMPLER. Nothing is registered globally. Secrets that this process knows are masked in every text of a span.
 */
export function openTracing(service: string, env: NodeJS.ProcessEnv): Tracing {
  const resource = defaultResource()
    .merge(resourceFromAttributes({ 'service.name': service, 'service.namespace': 'reconciler' }))
    .merge(detectResources({ detectors: [envDetector] }));
  const processor = new BatchSpanProcessor({ exporter: new OTLPTraceExporter() });
  const root = rootSampler(env);
  const provider = new TracerProvider({
    resource,
    sampler: new ParentBasedSampler({ root }),
    spanProcessors: [processor],
  });
  const scope = { name: 'reconciler' };
  const tracer = provider.getTracer(scope.name);

  return {
    async span({ name, kind, attributes = {}, parent }, work) {
      const outer = currentScope();
      const parentContext =
        parent === undefined ? ((outer?.trace as Context | undefined) ?? ROOT_CONTEXT) : contextOf(parent);
      const span = tracer.startSpan(
        withoutSecrets(name),
        { kind: KINDS[kind], attributes: masked(attributes) },
        parentContext,
      );
      const context = trace.setSpan(parentContext, span);
      const open = { set: (more: Attributes) => void span.setAttributes(masked(more)), carrier: carrierOf(context) };
      try {
        return await inScope({ fields: outer?.fields ?? {}, trace: context }, () => work(open));
      } catch (error) {
        span.setStatus({ code: SpanStatusCode.ERROR, message: withoutSecrets(messageOf(error)) });
        span.setAttribute('error.type', error instanceof CodedError ? error.code : nameOf(error));
        throw error;
      } finally {
        span.end();
      }
    },

    recordRun({ name, trace: carrier, parent, start, attributes, error }) {
      const spanContext = spanContextOf(carrier);
      if (spanContext === undefined || (spanContext.traceFlags & TraceFlags.SAMPLED) === 0) return;
      const [startTime, endTime] = [hrTime(start.getTime()), hrTime(Date.now())];
      processor.onEnd({
        name,
        kind: SpanKind.INTERNAL,
        spanContext: () => spanContext,
        parentSpanContext: parent && spanContextOf(parent),
        startTime,
        endTime,
        duration: hrTimeDuration(startTime, endTime),
        status:
          error === undefined
            ? { code: SpanStatusCode.OK }
            : { code: SpanStatusCode.ERROR, message: withoutSecrets(error) },
        attributes: masked(attributes),
        links: [],
        events: [],
        ended: true,
        resource,
        instrumentationScope: scope,
        droppedAttributesCount: 0,
        droppedEventsCount: 0,
        droppedLinksCount: 0,
      });
    },

    runTrace(runId) {
      const traceId = runId.replaceAll('-', '');
      const { decision } = root.shouldSample(ROOT_CONTEXT, traceId, '', SpanKind.INTERNAL, {}, []);
      const flags = decision === SamplingDecision.RECORD_AND_SAMPLED ? '01' : '00';
      return { traceparent: `00-${traceId}-${runSpanId(runId)}-${flags}` };
    },

    async close() {
      let timer: NodeJS.Timeout | undefined;
      const timeout = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
      });
      await Promise.race([provider.shutdown().catch(() => {}), timeout]);
      clearTimeout(timer);
    },
  };
}

function contextOf(carrier: Carrier): Context {
  return propagator.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter);
}

function carrierOf(context: Context): Carrier {
  const carrier: Carrier = {};
  propagator.inject(context, carrier, defaultTextMapSetter);
  return carrier;
}

const spanContextOf = (carrier: Carrier): SpanContext | undefined => trace.getSpanContext(contextOf(carrier));

/**
 * The sampler of traces that start here; others follow their parent's decision.
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 */
function rootSampler({ OTEL_TRACES_SAMPLER: name = '', OTEL_TRACES_SAMPLER_ARG: ratio }: NodeJS.ProcessEnv): Sampler {
  if (name.endsWith('always_off')) return new AlwaysOffSampler();
  if (name.endsWith('traceidratio')) return new TraceIdRatioBasedSampler(Number(ratio ?? 1));
  return new AlwaysOnSampler();
}

function masked(attributes: Attributes): Attributes {
  const entries = Object.entries(attributes).map(([key, value]) => {
    if (typeof value === 'string') return [key, withoutSecrets(value)];
    return [key, Array.isArray(value) ? value.map(withoutSecrets) : value];
  });
  return Object.fromEntries(entries);
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
const nameOf = (error: unknown) => (error instanceof Error ? error.name : 'Error');
