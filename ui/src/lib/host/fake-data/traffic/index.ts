export { trafficAnswers, type TrafficFake } from './world';
export { trafficSeries } from './series';
